#include "bench/load/users.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <optional>
#include <stdexcept>
#include <thread>

#include "engine/base32.h"
#include "engine/otp.h"

namespace watchword::load {
namespace {

// Beside its window, what a server may have learned of a clock.
constexpr std::int64_t clock_margin_steps = 2;

std::vector<std::string> fields_of(const std::string& line) {
  std::vector<std::string> fields(1);
  bool quoted = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (c == '"') {
      if (quoted && i + 1 < line.size() && line[i + 1] == '"') {
        fields.back() += line[++i];
      } else {
        quoted = !quoted;
      }
    } else if (c == ',' && !quoted) {
      fields.emplace_back();
    } else if (c != '\r') {
      fields.back() += c;
    }
  }
  return fields;
}

template <class Number>
std::optional<Number> number(const std::string& text) {
  Number value{};
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (fault != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string json_text(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

std::string csv_field(std::string_view text) {
  if (text.find_first_of(",\"") == std::string_view::npos) return std::string(text);
  std::string out = "\"";
  for (const char c : text) out.append(c == '"' ? 2 : 1, c);
  return out + '"';
}

}  // namespace

std::vector<User> read_users(const std::string& file) {
  std::ifstream in(file);
  if (!in) throw std::runtime_error(fmt::format("{} cannot be read", file));
  std::string line;
  std::getline(in, line);
  if (line.starts_with("\xef\xbb\xbf")) line.erase(0, 3);
  const std::vector<std::string> header = fields_of(line);
  const auto column = [&](std::string_view name) { return std::find(header.begin(), header.end(), name) - header.begin(); };
  const auto name = column("user"), secret = column("secret"), algorithm = column("algorithm"), digits = column("digits"),
             period = column("period"), used_step = column("used_step"), ahead = column("ahead");
  if (name == std::ssize(header) || secret == std::ssize(header)) {
    throw std::runtime_error(fmt::format("{}: the first line must name the columns, user and secret among them", file));
  }
  std::vector<User> users;
  for (std::size_t at = 2; std::getline(in, line); ++at) {
    if (line.empty() || line == "\r") continue;
    const std::vector<std::string> row = fields_of(line);
    const auto cell = [&](std::ptrdiff_t i) {
      return i < std::ssize(row) ? row[static_cast<std::size_t>(i)] : std::string();
    };
    User user;
    user.name = cell(name);
    const auto bad = [&](std::string_view what) {
      return std::runtime_error(fmt::format("{}, line {}: the {} is not valid", file, at, what));
    };
    if (!engine::valid_user(user.name)) throw bad("user");
    std::optional<std::vector<std::uint8_t>> bytes = engine::base32_decode(cell(secret));
    if (!bytes || bytes->empty()) throw bad("secret");
    user.secret = engine::SecretBytes(std::move(*bytes));
    if (!cell(algorithm).empty()) {
      const auto parsed = engine::parse_algorithm(cell(algorithm));
      if (!parsed) throw bad("algorithm");
      user.parameters.algorithm = *parsed;
    }
    if (!cell(digits).empty()) user.parameters.digits = number<std::uint8_t>(cell(digits)).value_or(0);
    if (!cell(period).empty()) user.parameters.period_s = number<std::uint16_t>(cell(period)).value_or(0);
    if (!engine::valid(user.parameters)) throw bad("number of digits or the period");
    if (!cell(used_step).empty()) {
      const auto parsed = number<std::int64_t>(cell(used_step));
      if (!parsed || *parsed > engine::step_at(engine::wall_now(), user.parameters.period_s) + 1) throw bad("used_step");
      user.used_step = *parsed;
    }
    if (!cell(ahead).empty()) {
      const auto parsed = number<std::int8_t>(cell(ahead));
      if (!parsed || *parsed < 0 || *parsed > 1) throw bad("ahead");
      user.ahead = *parsed;
    }
    users.push_back(std::move(user));
  }
  if (users.empty()) throw std::runtime_error(fmt::format("{} holds no users", file));
  return users;
}

void write_users(const std::string& file, const std::vector<User>& users) {
  const int made = open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (made < 0) throw std::runtime_error(fmt::format("{} cannot be written", file));
  fchmod(made, 0600);
  close(made);
  std::ofstream out(file);
  out << "user,name,secret,algorithm,digits,period,used_step,ahead\n";
  for (const User& user : users) {
    out << csv_field(user.name) << ",load," << engine::base32_encode(user.secret.bytes()) << ','
        << engine::to_string(user.parameters.algorithm) << ',' << int{user.parameters.digits} << ','
        << user.parameters.period_s << ',' << (user.used_step < 0 ? std::string() : std::to_string(user.used_step)) << ','
        << int{user.ahead} << '\n';
  }
  if (!out.flush()) throw std::runtime_error(fmt::format("{} could not be written whole", file));
}

std::vector<User> invented_users(std::size_t count) {
  std::vector<User> users(count);
  for (std::size_t i = 0; i < count; ++i) {
    users[i].name = fmt::format("user-{:07}@example.org", i);
    users[i].secret = engine::SecretBytes(std::vector<std::uint8_t>(20, static_cast<std::uint8_t>(i * 131 + i / 256)));
  }
  return users;
}

CodeBook::CodeBook(const std::vector<User>& users, engine::UnixMillis begin, std::int64_t duration_s,
                   unsigned window_steps) {
  const std::int64_t margin_steps = window_steps + clock_margin_steps;
  std::uint16_t period_min = engine::period_s_max;
  for (const User& user : users) period_min = std::min(period_min, user.parameters.period_s);
  steps_ = duration_s / period_min + 2 + 2 * margin_steps;
  codes_.resize(users.size() * static_cast<std::size_t>(steps_));
  for (const User& user : users) {
    quoted_.push_back(json_text(user.name));
    plain_.push_back(
        std::all_of(user.name.begin(), user.name.end(), [](char c) { return c > ' ' && c < 0x7f && c != '/'; }));
    first_step_.push_back(engine::step_at(begin, user.parameters.period_s) - margin_steps);
    period_s_.push_back(user.parameters.period_s);
    digits_.push_back(user.parameters.digits);
  }
  const engine::HmacKernel& kernel = engine::best_kernel();
  const auto fill = [&](std::size_t from, std::size_t to) {
    alignas(8) std::array<std::uint8_t, engine::key_state_bytes_max> state;
    for (std::size_t i = from; i < to; ++i) {
      const engine::OtpParameters& parameters = users[i].parameters;
      const std::vector<std::uint8_t>& secret = users[i].secret.bytes();
      engine::derive_key_state(parameters.algorithm, secret, state.data());
      std::uint32_t* const out = codes_.data() + i * static_cast<std::size_t>(steps_);
      kernel.truncate(parameters.algorithm, state.data(), static_cast<std::uint64_t>(first_step_[i]),
                      static_cast<std::size_t>(steps_), out);
      for (std::int64_t k = 0; k < steps_; ++k) out[k] %= engine::code_modulus(parameters.digits);
    }
  };
  const std::size_t threads = std::max(1u, std::thread::hardware_concurrency());
  std::vector<std::jthread> fillers;
  for (std::size_t t = 0; t < threads; ++t) {
    fillers.emplace_back(fill, users.size() * t / threads, users.size() * (t + 1) / threads);
  }
}

std::uint32_t CodeBook::wrong_code(std::uint32_t user, std::uint64_t guess) const {
  const std::uint32_t modulus = engine::code_modulus(digits_[user]);
  const std::uint32_t* const begin = codes_.data() + user * static_cast<std::size_t>(steps_);
  auto value = static_cast<std::uint32_t>((begin[0] + 500009 + guess * 7919) % modulus);
  while (std::find(begin, begin + steps_, value) != begin + steps_) value = (value + 1) % modulus;
  return value;
}

}  // namespace watchword::load
