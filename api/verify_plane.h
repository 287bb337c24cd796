// `POST /v1/verify` and `/v1/verify/batch`, on an event loop: bodies into questions, verdicts into answers. One a loop.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "api/exchange.h"
#include "api/loop_metrics.h"
#include "api/rate_budget.h"
#include "api/round_budget.h"
#include "api/verification_notes.h"
#include "engine/engine.h"

namespace watchword::api {

class VerifyPlane {
 public:
  // `metrics`: the loop's; none: nothing is counted.
  VerifyPlane(engine::Engine& engine, engine::Producer& producer, LoopMetrics* metrics)
      : engine_(engine), producer_(producer), metrics_(metrics), notes_(producer, engine.policy) {}

  enum class Progress : std::uint8_t {
    ready,  // the answer is in exchange.out
    waits,  // for tickets
    loads,  // for users who are not in memory: run a LoadUsers over wanted(), then loaded(); perhaps for tickets too
  };
  enum class Loaded : std::uint8_t { resident, nobody, store_fault };
  struct Load {
    Question* question;
    Loaded result = Loaded::store_fault;
  };

  // Reads the body; the question is judged with the others of its round, by judge(). ready: the body is at fault, or the
  // round has taken on all that it can (503).
  Progress verify(Exchange& exchange, std::string_view body);
  // The questions that verify() took, all together, so that memory is fetched ahead for each. `settled(exchange, progress)`
  // hears of each one.
  template <class Settled>
  void judge(engine::UnixMillis now, Settled settled) {
    judge_asked(now);
    for (Exchange* const exchange : judged_) settled(*exchange, settle(*exchange));
    judged_.clear();
  }
  // What one connection may have outstanding without being a round of its own.
  std::size_t share_of_round() const noexcept { return round_.limit() / 4; }
  // The round has taken on all that it can.
  bool full() const noexcept { return round_.full(); }
  Progress refuse(Exchange& exchange);  // 503
  // The same for one more of the requests that a connection has sent in a row, all of the usual form: such an exchange is
  // nothing but refusals.
  static bool takes_one_more(const Exchange& exchange) { return exchange.refusals > 0 && exchange.refusals < refusals_max; }
  void refuse_one_more(Exchange& exchange);
  bool holds_questions() const { return !asked_.empty(); }
  // As many as gain from being judged together; with more, their memory would be far from the core before they are answered.
  bool holds_many_questions() const { return asked_.size() >= many_questions; }
  // After such a group of questions: time goes by.
  void look_at_clock() noexcept;
  Progress verify_batch(Exchange& exchange, std::string_view body, engine::UnixMillis now);
  // The questions whose users a worker shall load. Theirs until loaded() has the results back.
  std::vector<Load> wanted(Exchange& exchange) const;
  Progress loaded(Exchange& exchange, const std::vector<Load>& loads, engine::UnixMillis now);
  // No worker takes the load.
  Progress load_refused(Exchange& exchange);
  // The questions whose recovery codes are to be checked, each by a RecoveryCheck on the pool for slow hashes, then
  // recovered(). Theirs until then; asked for once.
  std::vector<Question*> recoveries(Exchange& exchange) const;
  struct RecoveryCheck {
    Question* question;
    std::uint64_t receipt = 0;
    engine::Origin origin = {};
    engine::Answer<engine::RecoveryUse> use = tl::unexpected(engine::Refusal::store_unavailable);
  };
  RecoveryCheck check_of(Question& question) const;
  Progress recovered(const RecoveryCheck& check);
  // The pool does not take the check: nothing is charged.
  Progress recovery_refused(Question& question);
  // Verifications that the audit trail had to leave out. Any thread.
  std::uint64_t left_out_of_audit() const noexcept { return notes_.left_out(); }
  // The ticket of `question` is back.
  Progress committed(Question& question);

  // To be called now and then, and at the end.
  void tell_of_locks_left_out();
  // After a round of the calls above: what they queued goes to the committer.
  void publish() noexcept;
  // And what was answered is sent.
  void end_round() noexcept;

 private:
  static constexpr unsigned refusals_max = 64;  // of one exchange
  static constexpr std::size_t many_questions = 256;
  void judge_asked(engine::UnixMillis now);
  void judged(Question& question);
  bool recovers(Question& question);
  void ask(Question& question, engine::UnixMillis now);
  engine::VerifyRequest request_of(const Question& question) const;
  void take(Question& question, engine::Next next, engine::UnixMillis now);
  Progress settle(Exchange& exchange);
  // verify_answers.cc
  void render(Exchange& exchange);
  void render_one(Exchange& exchange);
  void render_batch(Exchange& exchange);
  void append_item(std::string& out, const Question& question);
  void tell_of_lock(const Question& question);

  engine::Engine& engine_;
  engine::Producer& producer_;
  LoopMetrics* const metrics_;
  VerificationNotes notes_;
  RoundBudget round_;
  static constexpr std::uint32_t lock_lines_burst = 100, lock_lines_refill_ms = 100;
  RateBudget lock_lines_{lock_lines_burst, lock_lines_refill_ms};
  RateBudget hard_lock_lines_{lock_lines_burst, lock_lines_refill_ms};  // which no time lifts
  std::int64_t locks_left_out_ = 0;                                     // of the log, since it was told
  // Scratch.
  std::string body_;
  std::vector<engine::BatchItem> items_;
  std::vector<Exchange*> asked_;  // whose questions are to be judged
  std::vector<Exchange*> judged_;
};

// On a worker thread. Brings each load's user into memory.
void load_users(engine::Registrar& registrar, std::vector<VerifyPlane::Load>& loads) noexcept;

// On the pool for slow hashes.
void check_recovery(engine::Registrar& registrar, VerifyPlane::RecoveryCheck& check, engine::UnixMillis now) noexcept;

}  // namespace watchword::api
