#include "api/loop_metrics.h"

#include <algorithm>

#include "api/exchange.h"

namespace watchword::api {
namespace {

constexpr std::array<const char*, LoopMetrics::stage_count> stage_names = {"parse", "engine", "commit_wait", "write",
                                                                           "total"};

Asked came_of(const Question& question) {
  switch (question.standing) {
    case Question::Standing::answered:
      return asked(question.verdict.result);
    case Question::Standing::wrong_length:
      return Asked::invalid;
    case Question::Standing::overloaded:
      return Asked::overloaded;
    default:
      return Asked::unavailable;
  }
}

}  // namespace

Asked asked(engine::Result result) {
  switch (result) {
    case engine::Result::accepted:
      return Asked::accepted;
    case engine::Result::rejected:
      return Asked::rejected;
    case engine::Result::replayed:
      return Asked::replayed;
    case engine::Result::locked:
      return Asked::locked;
    case engine::Result::no_device:
      break;
  }
  return Asked::no_device;
}

template <class CounterType>
void collect_verifications(const std::array<CounterType, asked_count>& counts, metrics::Collected& into) {
  for (std::size_t i = 0; i < counts.size(); ++i) {
    into.counter("watchword_verifications_total",
                 "Codes asked about, by what was answered; invalid, unavailable and overloaded are no decisions.",
                 {{"result", asked_names[i]}}, static_cast<double>(counts[i].value()));
  }
}
template void collect_verifications(const std::array<metrics::Counter, asked_count>&, metrics::Collected&);
template void collect_verifications(const std::array<metrics::SharedCounter, asked_count>&, metrics::Collected&);

void LoopMetrics::answered(const Question& question) noexcept {
  results_[static_cast<std::size_t>(came_of(question))].add();
  if (question.standing != Question::Standing::answered) return;
  if (question.verdict.repeated) repeated_.add();
  if (question.fields.recovery_code) recovery_codes_.add();
}

void LoopMetrics::sent(const Exchange& exchange, metrics::Ticks now, HttpMetrics& shared) {
  if (exchange.interim) return;
  const std::chrono::nanoseconds duration = metrics::between(exchange.begun, now);
  if (exchange.verified) {
    observe(Stage::write, exchange.decided, now);
    // The route's duration is the same: collect() adds the two up.
    stages_[static_cast<std::size_t>(Stage::total)].observe(duration);
    return verify_.count(exchange.status);
  }
  switch (exchange.route) {
    case Route::verify:
      return verify_.count(exchange.status, duration, std::max(1U, exchange.refusals));
    case Route::batch:
      return batch_.count(exchange.status, duration);
    default:
      return shared.count(exchange.route_template, exchange.status, duration);
  }
}

void LoopMetrics::collect(metrics::Collected& into) const {
  const auto count = [](const metrics::Counter& counter) { return static_cast<double>(counter.value()); };
  collect_verifications(results_, into);
  for (std::size_t i = 0; i < stages_.size(); ++i) {
    into.histogram("watchword_verification_duration_seconds", "Where the time of POST /v1/verify goes, by stage.",
                   {{"stage", stage_names[i]}}, stages_[i]);
  }
  into.counter("watchword_verifications_repeated_total", "Answers given again for a request_id that was seen before.", {},
               count(repeated_));
  into.counter("watchword_recovery_code_checks_total", "Recovery codes among the codes asked about.", {},
               count(recovery_codes_));
  into.counter("watchword_lockouts_total", "Locks that wrong codes began; hard ones end by no time.", {{"kind", "delay"}},
               count(locks_[0]));
  into.counter("watchword_lockouts_total", "Locks that wrong codes began; hard ones end by no time.", {{"kind", "hard"}},
               count(locks_[1]));
  into.histogram("watchword_verify_batch_items", "Codes in one POST /v1/verify/batch.", {}, batch_items_);
  verify_.collect("/v1/verify", into);
  into.histogram(RouteMetrics::duration_name, RouteMetrics::duration_help, {{"route", "/v1/verify"}},
                 stages_[static_cast<std::size_t>(Stage::total)]);
  batch_.collect("/v1/verify/batch", into);
}

}  // namespace watchword::api
