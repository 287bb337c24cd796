// A chunked request on its way in: its head is kept while the chunks are taken apart. Part of Connection.
#pragma once

#include <string>

#include "api/connection.h"
#include "api/request_parser.h"

namespace watchword::api {

struct Connection::Chunked {
  Chunked(std::string_view head_bytes, std::size_t body_limit) : head_text(head_bytes), body(head_text, body_limit) {
    HeadFault fault;
    head = parse_head(head_text, fault).value();  // it was found good before
  }
  const std::string head_text;
  RequestHead head;  // views of head_text
  ChunkedBody body;
};

}  // namespace watchword::api
