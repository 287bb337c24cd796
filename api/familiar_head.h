// The head that came last on a connection, so that one like it need not be parsed again: a gateway's requests are all alike,
// but for the lengths of their bodies.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "api/request_parser.h"

namespace watchword::api {

class FamiliarHead {
 public:
  static constexpr std::size_t bytes_max = 1024;  // of a head that is remembered

  FamiliarHead() = default;
  ~FamiliarHead() { forget(); }
  FamiliarHead(const FamiliarHead&) = delete;
  FamiliarHead& operator=(const FamiliarHead&) = delete;

  // The head that `input` begins with, if it is the one that was learnt, whatever its Content-Length says. It is compared in
  // constant time, since it holds a key that another client of the same proxy may have sent. What the result says is good as
  // long as both this and the input stay.
  std::optional<RequestHead> match(std::string_view input);
  // The same without the head itself: how long it and its body are. Nothing for a head that comes for the second time only
  // now, and for one whose body is chunked.
  struct Extent {
    std::size_t head_bytes;
    std::uint64_t body_bytes;
  };
  std::optional<Extent> measure(std::string_view input) const;
  // `head` was good. False: it is too long, and what was learnt before stays.
  bool learn(const RequestHead& head);
  // Whether match() gave this one.
  bool gave(const RequestHead& head) const { return head_ && head.target.data() == head_->target.data(); }
  // What was learnt; null before it has come for the second time.
  const RequestHead* known() const { return head_ ? &*head_ : nullptr; }
  void forget() noexcept;

 private:
  struct Likeness {
    std::size_t head_bytes;
    std::optional<std::uint64_t>
        length;  // what stands in the place of the one that was learnt; none: that has no such place
  };
  std::optional<Likeness> compare(std::string_view input) const;
  void find_length();

  std::string text_;
  std::optional<RequestHead> head_;  // views of text_; made when it comes for the second time
  // Where the digits of its Content-Length stand. Both at the end: it has none, or not one plain one.
  std::size_t length_begin_ = 0, length_end_ = 0;
};

}  // namespace watchword::api
