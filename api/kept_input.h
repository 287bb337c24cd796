// Input of a connection that waits for more, or for its turn: comes at the end, is taken from the front. It holds keys and
// codes, so nothing of it stays in memory that is given back.
#pragma once

#include <openssl/crypto.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <string>
#include <string_view>

namespace watchword::api {

class KeptInput {
 public:
  KeptInput() = default;
  ~KeptInput() { clear(); }
  KeptInput(const KeptInput&) = delete;
  KeptInput& operator=(const KeptInput&) = delete;

  std::string_view view() const { return std::string_view(bytes_).substr(taken_); }
  bool empty() const { return taken_ == bytes_.size(); }
  std::size_t size() const { return bytes_.size() - taken_; }

  void append(std::string_view more) {
    if (bytes_.size() + more.size() > bytes_.capacity()) {
      move_to(size() + std::max(size(), more.size()));
    } else if (taken_ > 0) {
      const std::size_t left = size();
      std::memmove(bytes_.data(), bytes_.data() + taken_, left);
      OPENSSL_cleanse(bytes_.data() + left, taken_);
      bytes_.resize(left);
      taken_ = 0;
    }
    bytes_.append(more);
  }
  // Moves nothing: of a long pipeline a little is taken many times.
  void take(std::size_t count) {
    taken_ += count;
    if (empty()) clear();
  }
  void clear() {
    OPENSSL_cleanse(bytes_.data(), bytes_.size());
    bytes_.clear();
    taken_ = 0;
  }
  // With its memory.
  void release() {
    clear();
    std::string().swap(bytes_);
  }

 private:
  void move_to(std::size_t capacity) {
    std::string larger;
    larger.reserve(capacity);
    larger.append(view());
    clear();
    bytes_.swap(larger);
  }

  std::string bytes_;
  std::size_t taken_ = 0;  // of its front
};

}  // namespace watchword::api
