// What each answer must be.
#include <fmt/format.h>

#include "bench/load/requests.h"
#include "engine/base32.h"
#include "engine/otp.h"

namespace watchword::load {
namespace {

constexpr std::string_view result_name = "\"result\"";

std::string_view result_of(std::string_view body) {
  std::size_t at = 0;
  return text_field(body, result_name, at);
}

std::string excerpt(std::string_view body) {
  constexpr std::size_t length = 160;
  std::string text(body.substr(0, length));
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < ' ') c = ' ';
  }
  return text;
}

}  // namespace

// Answers that are no verdicts.
std::optional<Outcome> Requests::judge_status(const Asked& asked, const HttpAnswer& answer) {
  const int expected = asked.kind == Kind::registration ? 201 : 200;
  if (answer.status == expected || (options_->constant && answer.status / 100 == 2)) return std::nullopt;
  if (answer.status == 503 || answer.status == 429) return Outcome::overloaded;
  if (answer.status == 401 || answer.status == 403) {
    ledger_->stop(fmt::format(
        "the server answers {} to {}: the key must be valid and have the scope for it (verify; register needs enroll)",
        answer.status, name_of(asked.kind)));
  }
  ledger_->fail(
      fmt::format("{}: answered {} instead of {}: {}", name_of(asked.kind), answer.status, expected, excerpt(answer.body)));
  return Outcome::wrong;
}

void Requests::judge(const Asked& asked, const HttpAnswer& answer, std::int64_t wall_ms, Recorder* record) {
  Outcome outcome = Outcome::answered;
  if (const auto refused = judge_status(asked, answer)) {
    // Nothing was looked at, or so it says; a code is not risked twice all the same.
    lose(asked, *refused, record);
    return;
  }
  if (options_->constant) {
    if (asked.kind == Kind::accept || asked.kind == Kind::prime || asked.kind == Kind::cold)
      (*phones_)[asked.user].used_step = -1;
  } else if (asked.kind == Kind::batch) {
    judge_batch(asked, answer, wall_ms, record);
    give_back(asked);
    return;
  } else if (asked.kind == Kind::registration) {
    outcome = judge_registration(asked, answer, wall_ms);
  } else if (asked.kind == Kind::confirm) {
    outcome = judge_confirmation(asked, answer, wall_ms);
  } else {
    const std::string_view result = result_of(answer.body);
    const bool has_user = asked.kind != Kind::unknown;
    const bool clock_moved = has_user && clock_step(asked.user, wall_ms) != asked.clock_step;
    switch (asked.kind) {
      case Kind::accept:
      case Kind::cold:
      case Kind::prime:
        use(asked.user, asked.step, asked.clock_step);
        outcome = judge_fresh(asked.user, result, asked.history_known, clock_moved, asked.step);
        break;
      case Kind::replay:
        outcome = judge_used(asked.user, result, clock_moved, asked.step);
        break;
      case Kind::hot:
        outcome = judge_hot(asked, result, clock_moved);
        break;
      case Kind::unknown:
        outcome = result == "no_device" ? Outcome::no_device : Outcome::wrong;
        if (outcome == Outcome::wrong)
          ledger_->fail(fmt::format("unknown: somebody who does not exist was answered \"{}\"", result));
        break;
      default:
        outcome = judge_guess(asked, result);
    }
    if (has_user && book_->plain_name(asked.user) && answer.body.find(name(asked.user)) == std::string_view::npos) {
      ledger_->fail(fmt::format("{}: {} was asked about, the answer is about somebody else: {}", name_of(asked.kind),
                                name(asked.user), excerpt(answer.body)));
      outcome = Outcome::wrong;
    }
  }
  if (record) record->count(asked.kind, outcome);
  give_back(asked);
}

Outcome Requests::judge_fresh(std::uint32_t user, std::string_view result, bool history_known, bool clock_moved,
                              std::int64_t step) {
  if (result == "accepted") return Outcome::accepted;
  if (result == "replayed" && !history_known) return Outcome::used_before;
  if (result == "rejected" && clock_moved) return Outcome::late;
  const std::string_view hint = result == "locked"      ? "; unlock the users or take others"
                                : result == "no_device" ? "; import the users first"
                                                        : "";
  ledger_->fail(
      fmt::format("a valid code of {} (step {}), never used, was answered \"{}\"{}", name(user), step, result, hint));
  return Outcome::wrong;
}

Outcome Requests::judge_used(std::uint32_t user, std::string_view result, bool clock_moved, std::int64_t step) {
  if (result == "replayed") return Outcome::replayed;
  if (result == "rejected" && clock_moved) return Outcome::late;
  ledger_->fail(result == "accepted"
                    ? fmt::format("a replay was accepted: {}, step {}", name(user), step)
                    : fmt::format("a used code of {} (step {}) was answered \"{}\"", name(user), step, result));
  return Outcome::wrong;
}

Outcome Requests::judge_guess(const Asked& asked, std::string_view result) {
  if (result == "rejected") {
    if (asked.kind == Kind::attack_one) ledger_->count_guess();
    return Outcome::rejected;
  }
  if (result == "locked") return Outcome::locked;
  ledger_->fail(
      result == "accepted"
          ? fmt::format("{}: a wrong code of {} was accepted", name_of(asked.kind), name(asked.user))
          : fmt::format("{}: a wrong code of {} was answered \"{}\"", name_of(asked.kind), name(asked.user), result));
  return Outcome::wrong;
}

Outcome Requests::judge_hot(const Asked& asked, std::string_view result, bool clock_moved) {
  if (result == "replayed") return Outcome::replayed;
  if (result == "rejected" && clock_moved) return Outcome::late;
  if (result == "accepted") {
    if (ledger_->accept_hot(asked.step)) return Outcome::accepted;
    ledger_->fail(fmt::format("hot: a replay was accepted: {}, step {}, accepted twice", name(asked.user), asked.step));
    return Outcome::wrong;
  }
  ledger_->fail(fmt::format("hot: a valid code of {} (step {}) was answered \"{}\"", name(asked.user), asked.step, result));
  return Outcome::wrong;
}

void Requests::judge_batch(const Asked& asked, const HttpAnswer& answer, std::int64_t wall_ms, Recorder* record) {
  std::size_t at = 0;
  for (const Item& item : batches_[asked.batch]) {
    const std::string_view result = text_field(answer.body, result_name, at);
    if (result.empty()) {
      ledger_->fail(fmt::format("batch: fewer results than the {} items", batches_[asked.batch].size()));
      if (record) record->count(Kind::batch, Outcome::wrong);
      return;
    }
    const bool clock_moved = clock_step(item.user, wall_ms) != item.clock_step;
    if (item.fresh) use(item.user, item.step, item.clock_step);
    const Outcome outcome = item.fresh ? judge_fresh(item.user, result, item.history_known, clock_moved, item.step)
                                       : judge_used(item.user, result, clock_moved, item.step);
    if (record) record->count(Kind::batch, outcome);
  }
}

Outcome Requests::judge_registration(const Asked& asked, const HttpAnswer& answer, std::int64_t wall_ms) {
  std::size_t at = 0;
  const std::string_view id = text_field(answer.body, "\"id\"", at);
  at = 0;
  const std::string_view secret = text_field(answer.body, "\"secret\"", at);
  at = 0;
  const std::string_view uri = text_field(answer.body, "\"otpauth_uri\"", at);
  const auto bytes = engine::base32_decode(secret);
  if (id.empty() || !bytes || bytes->empty() || uri.empty()) {
    ledger_->fail("register: the answer lacks an id, a secret or an otpauth_uri");
    return Outcome::wrong;
  }
  const std::int64_t period_ms = std::int64_t{1000} * options_->parameters.period_s;
  // The code of the step before the present one, so that the present one is left.
  to_confirm_.push_back({.path = fmt::format("/v1/users/new-{}-{}-{}/devices/{}/confirm", run_, thread_, asked.step, id),
                         .code = engine::totp(options_->parameters, *bytes, engine::UnixMillis{wall_ms - period_ms}),
                         .clock_step = wall_ms / period_ms});
  return Outcome::registered;
}

Outcome Requests::judge_confirmation(const Asked& asked, const HttpAnswer& answer, std::int64_t wall_ms) {
  std::size_t at = 0;
  if (text_field(answer.body, "\"status\"", at) == "active") return Outcome::confirmed;
  if (wall_ms / (std::int64_t{1000} * options_->parameters.period_s) != asked.clock_step) return Outcome::late;
  ledger_->fail(fmt::format("confirm: the right code was answered {}", excerpt(answer.body)));
  return Outcome::wrong;
}

}  // namespace watchword::load
