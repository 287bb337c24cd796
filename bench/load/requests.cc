#include "bench/load/requests.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "engine/base32.h"
#include "engine/otp.h"

namespace watchword::load {
namespace {

// People with other periods than the ones before them may stand behind somebody who must wait.
constexpr int looked_at_max = 4;

void append_number(std::string& out, std::uint64_t value, unsigned digits = 0) {
  std::array<char, 20> text;
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
  const auto length = static_cast<std::size_t>(end - text.data());
  if (length < digits) out.append(digits - length, '0');
  out.append(text.data(), length);
}

}  // namespace

Requests::Requests(const Options& options, const Target& target, const ServerPolicy& policy, const CodeBook& book,
                   std::vector<User>& phones, const People& people, Ledger& ledger, std::string run, unsigned thread)
    : options_(&options),
      book_(&book),
      phones_(&phones),
      ledger_(&ledger),
      run_(std::move(run)),
      thread_(thread),
      ahead_max_(options.fresh && policy.window_steps > 0 ? 1 : 0),
      hot_(people.hot()),
      attacked_(people.attacked()) {
  for (std::size_t k = 0; k < kinds; ++k) pools_[k] = people.pool(static_cast<Kind>(k), thread);
  head_ = fmt::format(" HTTP/1.1\r\nHost: {}\r\n{}Content-Type: application/json\r\nContent-Length: ", target.host,
                      options.key.empty() ? std::string() : fmt::format("Authorization: Bearer {}\r\n", options.key));
  verify_head_ = "POST /v1/verify" + head_;
}

void Requests::append_post(std::string& out, std::string_view path, std::string_view body) const {
  out.append("POST ").append(path).append(head_);
  append_number(out, body.size());
  out.append("\r\n\r\n").append(body);
}

void Requests::append_verify(std::string& out, std::string_view quoted_name, std::uint32_t code, unsigned digits) const {
  constexpr std::string_view before = "{\"user\":", between = ",\"code\":\"", after = "\"}";
  out.append(verify_head_);
  append_number(out, before.size() + quoted_name.size() + between.size() + digits + after.size());
  out.append("\r\n\r\n").append(before).append(quoted_name).append(between);
  append_number(out, code, digits);
  out.append(after);
}

std::int64_t Requests::clock_step(std::uint32_t user, std::int64_t wall_ms) const {
  return wall_ms / (std::int64_t{1000} * book_->period_s(user));
}

// The next step whose code a server with a window of one step must accept. Who has given the code after the present one once
// has taught the server that their clock runs ahead, and goes on like that.
std::optional<std::int64_t> Requests::fresh_step(std::uint32_t user, std::int64_t clock) const {
  const User& phone = (*phones_)[user];
  const std::int64_t step = std::max(phone.used_step + 1, clock + phone.ahead);
  if (step > clock + std::max<std::int64_t>(phone.ahead, ahead_max_) || !book_->has(user, step)) return std::nullopt;
  return step;
}

void Requests::use(std::uint32_t user, std::int64_t step, std::int64_t clock) {
  User& phone = (*phones_)[user];
  // A code that is the next step's too, as one in a million is, was taken for that one and is used up with it.
  while (book_->has(user, step) && book_->has(user, step + 1) && book_->code(user, step) == book_->code(user, step + 1))
    ++step;
  phone.used_step = std::max(phone.used_step, step);
  if (step > clock) phone.ahead = 1;
}

// Somebody with a fresh code, out of the pool until the answer.
std::optional<std::uint32_t> Requests::take(std::deque<std::uint32_t>& pool, std::int64_t wall_ms, std::int64_t& step) {
  for (int looked_at = 0; looked_at < looked_at_max && !pool.empty(); ++looked_at) {
    const std::uint32_t user = pool.front();
    pool.pop_front();
    if (const auto fresh = fresh_step(user, clock_step(user, wall_ms))) {
      step = *fresh;
      return user;
    }
    pool.push_back(user);
  }
  return std::nullopt;
}

std::optional<Asked> Requests::write(Kind kind, std::int64_t wall_ms, std::string& out) {
  Asked asked{.kind = kind};
  std::deque<std::uint32_t>& pool = pools_[static_cast<std::size_t>(kind)];
  switch (kind) {
    case Kind::accept:
    case Kind::cold: {
      const auto user = take(pool, wall_ms, asked.step);
      if (!user) return std::nullopt;
      asked.user = *user;
      break;
    }
    case Kind::wrong:
    case Kind::attack_many:
      if (pool.empty()) return std::nullopt;
      asked.user = pool.front();
      pool.pop_front();
      break;
    case Kind::replay: {
      if (pool.empty()) return std::nullopt;
      asked.user = pool.front();
      const std::int64_t clock = clock_step(asked.user, wall_ms);
      const User& phone = (*phones_)[asked.user];
      if (phone.used_step < clock + phone.ahead) {
        asked.kind = Kind::prime;
        asked.step = clock + phone.ahead;
      } else {
        asked.step = phone.used_step;
      }
      pool.pop_front();
      break;
    }
    case Kind::hot:
      asked.user = hot_;
      asked.step = clock_step(hot_, wall_ms) + (*phones_)[hot_].ahead;
      break;
    case Kind::attack_one:
      asked.user = attacked_;
      break;
    case Kind::batch:
      return write_batch(wall_ms, out);
    case Kind::registration: {
      const std::string body = fmt::format("{{\"name\":\"load\",\"algorithm\":\"{}\",\"digits\":{},\"period\":{}}}",
                                           engine::to_string(options_->parameters.algorithm), options_->parameters.digits,
                                           options_->parameters.period_s);
      asked.step = static_cast<std::int64_t>(invented_++);
      append_post(out, fmt::format("/v1/users/new-{}-{}-{}/devices", run_, thread_, asked.step), body);
      return asked;
    }
    case Kind::unknown:
      append_verify(out, fmt::format("\"nobody-{}-{}-{}\"", run_, thread_, invented_),
                    static_cast<std::uint32_t>(invented_ % 1000000), 6);
      ++invented_;
      return asked;
    case Kind::confirm:
    case Kind::prime:
      return std::nullopt;
  }
  asked.clock_step = clock_step(asked.user, wall_ms);
  asked.history_known = (*phones_)[asked.user].used_step >= 0 || options_->fresh;
  const bool guess = kind == Kind::wrong || kind == Kind::attack_many || kind == Kind::attack_one;
  append_verify(out, name(asked.user), guess ? book_->wrong_code(asked.user, guess_++) : book_->code(asked.user, asked.step),
                book_->digits(asked.user));
  return asked;
}

std::optional<Asked> Requests::write_batch(std::int64_t wall_ms, std::string& out) {
  std::deque<std::uint32_t>& pool = pools_[static_cast<std::size_t>(Kind::batch)];
  if (pool.size() < options_->batch_size) return std::nullopt;
  if (free_batches_.empty()) {
    free_batches_.push_back(static_cast<std::uint32_t>(batches_.size()));
    batches_.emplace_back();
  }
  Asked asked{.kind = Kind::batch, .batch = free_batches_.back()};
  free_batches_.pop_back();
  std::vector<Item>& items = batches_[asked.batch];
  items.clear();
  std::string body = "{\"items\":[";
  for (unsigned i = 0; i < options_->batch_size; ++i) {
    const std::uint32_t user = pool.front();
    pool.pop_front();
    const std::int64_t clock = clock_step(user, wall_ms);
    const User& phone = (*phones_)[user];
    const auto fresh = fresh_step(user, clock);
    // Who has no fresh code has used the present one, or one after it: that is replayed.
    const std::int64_t step = fresh.value_or(phone.used_step);
    items.push_back({user, step, clock, fresh.has_value(), phone.used_step >= 0 || options_->fresh});
    body.append(i == 0 ? "{\"user\":" : ",{\"user\":").append(name(user)).append(",\"code\":\"");
    append_number(body, book_->code(user, step), book_->digits(user));
    body.append("\"}");
  }
  body.append("]}");
  append_post(out, "/v1/verify/batch", body);
  return asked;
}

std::optional<Asked> Requests::write_confirmation(std::string& out) {
  if (to_confirm_.empty()) return std::nullopt;
  const Registration next = std::move(to_confirm_.front());
  to_confirm_.pop_front();
  append_post(out, next.path, fmt::format("{{\"code\":\"{}\"}}", next.code));
  return Asked{.kind = Kind::confirm, .clock_step = next.clock_step};
}

void Requests::give_back(const Asked& asked) {
  switch (asked.kind) {
    case Kind::accept:
    case Kind::wrong:
    case Kind::replay:
    case Kind::attack_many:
      pools_[static_cast<std::size_t>(asked.kind)].push_back(asked.user);
      break;
    case Kind::prime:
      pools_[static_cast<std::size_t>(Kind::replay)].push_front(asked.user);
      break;
    case Kind::batch:
      for (const Item& item : batches_[asked.batch]) pools_[static_cast<std::size_t>(Kind::batch)].push_back(item.user);
      free_batches_.push_back(asked.batch);
      break;
    default:
      break;
  }
}

// Whether a code without an answer was used up nobody knows: it is not asked for again.
void Requests::lose(const Asked& asked, Outcome why, Recorder* record) {
  if (record) record->count(asked.kind, why);
  if (asked.kind == Kind::accept || asked.kind == Kind::prime) use(asked.user, asked.step, asked.clock_step);
  if (asked.kind == Kind::batch) {
    for (const Item& item : batches_[asked.batch]) use(item.user, item.step, item.clock_step);
  }
  give_back(asked);
}

}  // namespace watchword::load
