// Answers as bytes.
#pragma once

#include <string>
#include <string_view>

#include "api/message.h"

namespace watchword::api {

// What an answer owes to its request.
struct AnswerForm {
  bool close = false;      // the connection ends after it
  bool http10 = false;     // then keeping the connection open has to be said
  bool head_only = false;  // HEAD
  bool operator==(const AnswerForm&) const = default;
};

// One piece of a body without known length (RFC 9112 section 7.1), around `piece`; and what ends such a body.
void write_chunk(std::string& out, std::string_view piece, AnswerForm form);
void write_last_chunk(std::string& out, AnswerForm form);

// All append. The first: 200, JSON, never cached; no allocation where `out` has room.
void write_json(std::string& out, std::string_view body, AnswerForm form);
void write_response(std::string& out, const Response& response, AnswerForm form);
// 503 to a verification, as a problem document and with no more than a client of an API needs: it is written when there are
// many.
void write_overloaded(std::string& out, AnswerForm form);

}  // namespace watchword::api
