// What bench/overload.py's load asks: a POST of /v1/verify for one person after the other.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "engine/otp.h"

namespace watchword::bench {

// A file of records of one size, in memory.
template <class Record>
class Records {
 public:
  Records(const char* file, bool writable) {
    const int opened = open(file, writable ? O_RDWR : O_RDONLY);
    const off_t bytes = opened < 0 ? -1 : lseek(opened, 0, SEEK_END);
    void* const at = bytes <= 0 ? MAP_FAILED
                                : mmap(nullptr, static_cast<std::size_t>(bytes),
                                       writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, opened, 0);
    if (opened >= 0) close(opened);
    if (at == MAP_FAILED) throw std::runtime_error(std::string("cannot read ") + file);
    records_ = {static_cast<Record*>(at), static_cast<std::size_t>(bytes) / sizeof(Record)};
  }
  std::size_t size() const { return records_.size(); }
  Record& operator[](std::size_t at) const { return records_[at]; }

 private:
  std::span<Record> records_;
};

using Secret = std::array<std::uint8_t, 20>;

// Requests of one person after the other.
class Requests {
 public:
  Requests(const char* secrets, std::uint64_t period_s, const std::string& key)
      : secrets_(secrets, false),
        period_s_(period_s),
        head_("POST /v1/verify HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + key +
              "\r\nContent-Type: application/json\r\nContent-Length: ") {}
  virtual ~Requests() = default;
  virtual void append(std::uint64_t number, std::string& out) = 0;

 protected:
  std::size_t users() const { return secrets_.size(); }
  std::uint64_t step(std::uint64_t ahead_s = 0) const {
    return (static_cast<std::uint64_t>(time(nullptr)) + ahead_s) / period_s_;
  }
  std::uint32_t code(std::size_t user, std::uint64_t step) const {
    alignas(8) std::array<std::uint8_t, engine::key_state_bytes(engine::Algorithm::sha1)> state;
    engine::derive_key_state(engine::Algorithm::sha1, secrets_[user], state.data());
    std::uint32_t truncated = 0;
    engine::best_kernel().truncate(engine::Algorithm::sha1, state.data(), step, 1, &truncated);
    return truncated % codes;
  }
  void append_request(std::size_t user, std::uint32_t code, std::string& out) const {
    std::array<char, 64> body;
    const int bytes = std::snprintf(body.data(), body.size(), R"({"user":"user%zu@example.org","code":"%06u"})", user, code);
    out.append(head_).append(std::to_string(bytes)).append("\r\n\r\n").append(body.data(), static_cast<std::size_t>(bytes));
  }
  static constexpr std::uint32_t codes = 1'000'000;

 private:
  Records<const Secret> secrets_;
  const std::uint64_t period_s_;
  const std::string head_;
};

// The same for everybody each time, made ahead.
class WrongCodes : public Requests {
 public:
  WrongCodes(const char* secrets, std::uint64_t period_s, const std::string& key) : Requests(secrets, period_s, key) {
    const std::uint64_t now = step();
    for (std::size_t user = 0; user < users(); ++user) {
      append_request(user, (code(user, now) + codes / 2) % codes, made_.emplace_back());
    }
  }
  void append(std::uint64_t number, std::string& out) override { out += made_[number % made_.size()]; }

 private:
  std::vector<std::string> made_;
};

// The oldest code that is good and was not used.
class FreshCodes : public Requests {
 public:
  FreshCodes(const char* secrets, const char* used, std::uint64_t period_s, const std::string& key)
      : Requests(secrets, period_s, key), used_(used, true) {
    if (used_.size() != users()) throw std::runtime_error("not as many steps as secrets");
  }
  void append(std::uint64_t number, std::string& out) override {
    const std::size_t user = number % users();
    // Still good when it arrives.
    const std::uint64_t next = std::max(step(1) - 1, std::uint64_t{used_[user]} + 1);
    if (next > step() + 1) throw std::runtime_error("nobody has a code left that was not used: take more people");
    used_[user] = static_cast<std::uint32_t>(next);
    append_request(user, code(user, next), out);
  }

 private:
  Records<std::uint32_t> used_;
};

}  // namespace watchword::bench
