// Verdicts into answers.
#include <chrono>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "api/json_text.h"
#include "api/log.h"
#include "api/problem.h"
#include "api/verify_plane.h"

namespace watchword::api {
namespace {

using engine::Result;
using Standing = Question::Standing;

constexpr std::string_view unavailable_detail =
    "The answer could not be made durable. Nothing was accepted. Try again later.";

void append_verdict(std::string& out, const Question& question) {
  const std::string_view user = question.fields.user.view();
  const engine::Verdict& verdict = question.verdict;
  out += R"({"result":")";
  out += to_string(verdict.result);
  out += R"(","user":)";
  append_json_string(out, user);
  if (verdict.device.value != 0) {
    out += R"(,"device":{"id":")";
    append_hex64(out, verdict.device.value);
    out += R"(","name":)";
    append_json_string(out, verdict.name());
    out += '}';
  }
  if (verdict.result == Result::accepted && question.fields.recovery_code) {
    out += R"(,"recovery_code":true,"recovery_codes_left":)";
    append_number(out, question.recovery_codes_left);
  } else if (verdict.result == Result::accepted) {
    out += R"(,"drift_steps":)";
    append_number(out, verdict.drift_steps);
  }
  if (verdict.retry_after_s > 0) {
    out += R"(,"retry_after_s":)";
    append_number(out, verdict.retry_after_s);
  }
  if (verdict.hard_locked) out += R"(,"hard_locked":true)";
  if (verdict.repeated) out += R"(,"repeated":true)";
  out += '}';
}

std::string length_detail(const engine::Verdict& verdict) {
  return fmt::format("The code of this person's device has {} digits.", verdict.expected_digits);
}

}  // namespace

void VerifyPlane::render(Exchange& exchange) {
  if (exchange.batch) {
    render_batch(exchange);
    exchange.batch.reset();
  } else {
    render_one(exchange);
  }
}

// Once a lock, since what comes after it is answered with `locked`. Where everybody's codes are guessed there are thousands
// a second: the trail has them all, the log the first ones and how many more there were.
void VerifyPlane::tell_of_lock(const Question& question) {
  const engine::Verdict& verdict = question.verdict;
  if (!began_lock(verdict)) return;
  if (metrics_ != nullptr) metrics_->lock_began(verdict.hard_locked);
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  const engine::UnixMillis steady{std::chrono::duration_cast<std::chrono::milliseconds>(now).count()};
  if (!(verdict.hard_locked ? hard_lock_lines_ : lock_lines_).take(steady)) {
    ++locks_left_out_;
    return;
  }
  log(Level::warning, "user locked",
      {{"user", std::string(question.fields.user.view())},
       {"retry_after_s", std::int64_t{verdict.retry_after_s}},
       {"hard_locked", verdict.hard_locked ? "yes" : "no"},
       {"trace", std::string(question.exchange->trace.view())}});
}

void VerifyPlane::tell_of_locks_left_out() {
  if (locks_left_out_ == 0) return;
  log(Level::warning, "further users locked", {{"count", std::exchange(locks_left_out_, 0)}});
}

// Beside the results of the contract, an item of a batch may say `unavailable` (ask this one again) or `invalid`: the other
// items' codes are used up already, so one item's trouble must not hide what became of them.
void VerifyPlane::append_item(std::string& out, const Question& question) {
  const std::string_view user = question.fields.user.view();
  if (metrics_ != nullptr) metrics_->answered(question);
  switch (question.standing) {
    case Standing::answered:
      tell_of_lock(question);
      return append_verdict(out, question);
    case Standing::wrong_length:
      out += R"({"result":"invalid","user":)";
      append_json_string(out, user);
      out += R"(,"detail":)";
      append_json_string(out, length_detail(question.verdict));
      break;
    default:
      out += R"({"result":"unavailable","user":)";
      append_json_string(out, user);
      out += R"(,"retry_after_s":1)";
      break;
  }
  out += '}';
}

void VerifyPlane::render_one(Exchange& exchange) {
  const Question& question = exchange.question;
  if (metrics_ != nullptr) metrics_->answered(question);
  switch (question.standing) {
    case Standing::answered:
      tell_of_lock(question);
      body_.clear();
      append_verdict(body_, question);
      return write_json(exchange.out, body_, exchange.form);
    case Standing::wrong_length:
      return write_answer(exchange, problem(422, "code_length", length_detail(question.verdict), "code"));
    case Standing::overloaded:
      exchange.status = 503;
      return write_overloaded(exchange.out, exchange.form);
    default:
      return write_answer(exchange, problem(503, "store_unavailable", unavailable_detail));
  }
}

void VerifyPlane::render_batch(Exchange& exchange) {
  std::string body = R"({"results":[)";
  bool first = true;
  for (const Question& question : exchange.batch->questions) {
    if (!first) body += ',';
    first = false;
    append_item(body, question);
  }
  body += "]}";
  write_json(exchange.out, body, exchange.form);
}

VerifyPlane::Progress VerifyPlane::refuse(Exchange& exchange) {
  round_.refused();
  exchange.question.standing = Standing::overloaded;
  exchange.status = 503;
  if (metrics_ != nullptr) metrics_->answered(exchange.question);
  write_overloaded(exchange.out, exchange.form);
  return Progress::ready;
}

// There are many of these at once, when there are any, and they are sent from where they stand.
void VerifyPlane::refuse_one_more(Exchange& exchange) {
  struct Refusals {
    std::string text;
    std::size_t bytes;  // of each
  };
  static const Refusals refusals = [] {
    std::string one, all;
    write_overloaded(one, {});
    for (unsigned i = 0; i < refusals_max; ++i) all += one;
    return Refusals{.text = all, .bytes = one.size()};
  }();
  round_.refused();
  if (metrics_ != nullptr) metrics_->refused();
  ++exchange.refusals;
  exchange.status = 503;
  exchange.shared = std::string_view(refusals.text).substr(0, exchange.refusals * refusals.bytes);
}

}  // namespace watchword::api
