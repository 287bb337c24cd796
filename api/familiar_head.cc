#include "api/familiar_head.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <cstdint>

#include "api/digest.h"

namespace watchword::api {
namespace {

constexpr std::size_t length_digits_max = 7;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

std::size_t find_ignoring_case(std::string_view text, std::string_view word, std::size_t from) {
  const auto same = [](char a, char b) { return lower(a) == b; };
  const auto found =
      std::search(text.begin() + static_cast<std::ptrdiff_t>(from), text.end(), word.begin(), word.end(), same);
  return found == text.end() ? std::string_view::npos : static_cast<std::size_t>(found - text.begin());
}

// As a length is usually written: 0, or no zero in front. npos: it is not.
std::size_t plain_digits(std::string_view text) {
  std::size_t count = 0;
  while (count < text.size() && is_digit(text[count])) ++count;
  const bool plain = count > 0 && count <= length_digits_max && (count == 1 || text.front() != '0');
  return plain ? count : std::string_view::npos;
}

}  // namespace

std::optional<FamiliarHead::Likeness> FamiliarHead::compare(std::string_view input) const {
  if (text_.empty()) return std::nullopt;
  const std::string_view known(text_), front = known.substr(0, length_begin_), back = known.substr(length_end_);
  if (!equal_in_constant_time(input.substr(0, front.size()), front)) return std::nullopt;
  if (length_begin_ == length_end_) return Likeness{.head_bytes = front.size(), .length = std::nullopt};
  const std::size_t digits = plain_digits(input.substr(front.size(), length_digits_max + 1));
  if (digits == std::string_view::npos) return std::nullopt;
  std::uint64_t length = 0;
  for (const char c : input.substr(front.size(), digits)) length = length * 10 + static_cast<std::uint64_t>(c - '0');
  if (!equal_in_constant_time(input.substr(front.size() + digits, back.size()), back)) return std::nullopt;
  return Likeness{.head_bytes = front.size() + digits + back.size(), .length = length};
}

std::optional<FamiliarHead::Extent> FamiliarHead::measure(std::string_view input) const {
  if (!head_ || head_->chunked) return std::nullopt;
  const std::optional<Likeness> like = compare(input);
  if (!like) return std::nullopt;
  return Extent{.head_bytes = like->head_bytes, .body_bytes = like->length.value_or(head_->content_length)};
}

std::optional<RequestHead> FamiliarHead::match(std::string_view input) {
  const std::optional<Likeness> like = compare(input);
  if (!like) return std::nullopt;
  if (!head_) {
    HeadFault fault;
    head_ = parse_head(text_, fault);
    if (!head_) return std::nullopt;
  }
  std::optional<RequestHead> head = head_;
  head->bytes = like->head_bytes;
  if (like->length) head->content_length = *like->length;
  head->block = input.substr(0, head->bytes);
  return head;
}

bool FamiliarHead::learn(const RequestHead& head) {
  if (head.bytes > bytes_max) return false;
  forget();
  text_.assign(head.block);
  find_length();
  return true;
}

// Anything out of the ordinary is compared as it stands: where a request ends is not guessed.
void FamiliarHead::find_length() {
  constexpr std::string_view name = "content-length", line = "\r\ncontent-length:";
  length_begin_ = length_end_ = text_.size();
  const std::size_t at = find_ignoring_case(text_, line, 0);
  if (at == std::string_view::npos) return;
  const std::size_t first = find_ignoring_case(text_, name, 0);
  if (first != at + 2 || find_ignoring_case(text_, name, first + 1) != std::string_view::npos) return;
  if (find_ignoring_case(text_, "transfer-encoding", 0) != std::string_view::npos) return;
  std::size_t begin = at + line.size();
  while (begin < text_.size() && text_[begin] == ' ') ++begin;
  const std::size_t digits = plain_digits(std::string_view(text_).substr(begin));
  if (digits == std::string_view::npos || text_.compare(begin + digits, 2, "\r\n") != 0) return;
  length_begin_ = begin;
  length_end_ = begin + digits;
}

void FamiliarHead::forget() noexcept {
  head_.reset();
  OPENSSL_cleanse(text_.data(), text_.size());
  text_.clear();
}

}  // namespace watchword::api
