// The rest of an answer that is made while it is being sent: the next piece is asked for when the client has taken the one
// before, so an answer of any length needs the memory of one piece.
#pragma once

#include <string>

namespace watchword::api {

class BodySource {
 public:
  virtual ~BodySource() = default;
  // On a worker thread, one call at a time. Appends the next piece; false: it was the last. Throws on a fault: the answer is
  // then cut, so that the client does not take it for a whole one.
  virtual bool next(std::string& out) = 0;
};

enum class Piece : unsigned char { one_of_more, last, failed };

}  // namespace watchword::api
