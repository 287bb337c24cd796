// The people that a run signs in as: names and secrets, and the codes of every step of the run, made ahead of time.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/types.h"

namespace watchword::load {

struct User {
  std::string name;
  engine::SecretBytes secret;
  engine::OtpParameters parameters;
  std::int64_t used_step =
      -1;  // the last step known to be used up (the one that confirmed the registration); -1: nothing is known
  std::int8_t ahead =
      0;  // steps by which the codes that were given last ran ahead of the clock: the server has learned that
};

// CSV with a header; needed are the columns user and secret (base32), read are algorithm, digits, period, used_step and
// ahead. Throws std::runtime_error that names the line.
std::vector<User> read_users(const std::string& file);
// The same columns, readable by its owner alone: the file holds secrets.
void write_users(const std::string& file, const std::vector<User>& users);
// People of a server that does not know them, for a target that answers the same to everything.
std::vector<User> invented_users(std::size_t count);

class CodeBook {
 public:
  // Codes of all steps that a run of that length can ask for, and of those that a server with that window may look at
  // meanwhile: none of them is a wrong code. Uses all cores.
  CodeBook(const std::vector<User>& users, engine::UnixMillis begin, std::int64_t duration_s, unsigned window_steps = 1);

  std::size_t users() const { return first_step_.size(); }
  // A name as it stands in JSON, with its quotes.
  std::string_view quoted_name(std::uint32_t user) const { return quoted_[user]; }
  // The answers of a server hold it byte for byte as requests do: nothing in it can be escaped in several ways.
  bool plain_name(std::uint32_t user) const { return plain_[user]; }
  std::uint16_t period_s(std::uint32_t user) const { return period_s_[user]; }
  std::uint8_t digits(std::uint32_t user) const { return digits_[user]; }
  bool has(std::uint32_t user, std::int64_t step) const {
    return step >= first_step_[user] && step < first_step_[user] + steps_;
  }
  std::uint32_t code(std::uint32_t user, std::int64_t step) const {
    return codes_[user * static_cast<std::size_t>(steps_) + static_cast<std::size_t>(step - first_step_[user])];
  }
  // The `guess`-th of the codes that the user has in no step of this book.
  std::uint32_t wrong_code(std::uint32_t user, std::uint64_t guess) const;

 private:
  std::int64_t steps_;
  std::vector<std::string> quoted_;
  std::vector<bool> plain_;
  std::vector<std::int64_t> first_step_;
  std::vector<std::uint16_t> period_s_;
  std::vector<std::uint8_t> digits_;
  std::vector<std::uint32_t> codes_;
};

}  // namespace watchword::load
