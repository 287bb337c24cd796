#include "api/verify_plane.h"

#include <array>
#include <charconv>
#include <chrono>
#include <exception>

#include "api/log.h"
#include "api/problem.h"
#include "engine/hex.h"

namespace watchword::api {
namespace {

using engine::Next;
using engine::Result;
using Standing = Question::Standing;

// A user who is evicted again before the question is asked again, this often: the server has other troubles.
constexpr unsigned loads_max = 3;

std::chrono::nanoseconds steady_now() {
  return std::chrono::steady_clock::now().time_since_epoch();
}

template <class Visit>
void for_each_question(Exchange& exchange, Visit visit) {
  if (!exchange.batch) return visit(exchange.question);
  for (Question& question : exchange.batch->questions) visit(question);
}

// The caller's name in a receipt: its key's id.
std::uint64_t receipt_of(const engine::SecretBytes& hash_key, std::uint64_t caller, const VerifyFields& fields) {
  if (fields.request_id.view().empty()) return 0;
  std::array<char, 16> text;
  const char* const end = std::to_chars(text.data(), text.data() + text.size(), caller, 16).ptr;
  const std::string_view caller_text(text.data(), static_cast<std::size_t>(end - text.data()));
  return engine::receipt_tag(hash_key, caller_text, fields.user.view(), fields.request_id.view(), fields.code_text.view(),
                             fields.device_text.view());
}

// Who asks, in memory that lives as long as this.
class AskerOf {
 public:
  explicit AskerOf(const Exchange& exchange) : exchange_(exchange) {
    const std::string_view certificate = exchange.certificate.view();
    actor_.append(certificate.empty() ? key_prefix : certificate_prefix);
    actor_.append(certificate);
    if (!certificate.empty()) return;
    char digits[engine::hex64_digits];
    engine::write_hex64(digits, exchange.caller.id);
    actor_.append({digits, sizeof digits});
  }
  operator Asker() const {  // NOLINT(google-explicit-constructor): a view of it
    return {.actor = actor_.view(), .address = exchange_.address.view(), .trace = exchange_.trace.view()};
  }
  engine::Origin origin() const {
    const Asker asker = *this;
    return {.actor = std::string(asker.actor), .address = std::string(asker.address), .trace = std::string(asker.trace)};
  }

 private:
  static constexpr std::string_view key_prefix = "key:";
  static constexpr std::string_view certificate_prefix = "certificate:";
  const Exchange& exchange_;
  FixedText<certificate_prefix.size() + client_name_bytes_max> actor_;
};

}  // namespace

VerifyPlane::Progress VerifyPlane::verify(Exchange& exchange, std::string_view body) {
  if (round_.full()) return refuse(exchange);
  round_.take_one(steady_now);
  Question& question = exchange.question;
  question.exchange = &exchange;
  question.loads = 0;
  if (const std::optional<RequestFault> fault = parse_verify(body, question.fields)) {
    write_answer(exchange, problem(*fault));
    return Progress::ready;
  }
  exchange.verified = true;
  if (metrics_ != nullptr) {
    metrics_->parsed();
    question.asked = metrics_->lap();
  }
  asked_.push_back(&exchange);
  return Progress::waits;
}

void VerifyPlane::judge_asked(engine::UnixMillis now) {
  asked_.swap(judged_);
  items_.clear();
  for (Exchange* const exchange : judged_) {
    Question& question = exchange->question;
    if (recovers(question)) continue;
    items_.push_back({.request = request_of(question), .ticket = &question, .verdict = &question.verdict});
  }
  // In parts, so that what does not fit any more leaves the others be: as it is made, an item says overloaded.
  constexpr std::size_t part_max = 256;
  for (std::size_t at = 0; at < items_.size(); at += part_max) {
    const std::span<engine::BatchItem> part(items_.data() + at, std::min(part_max, items_.size() - at));
    if (notes_.has_room(part.size())) engine_.verifier.verify_batch(part, now, producer_);
  }
  if (metrics_ != nullptr) metrics_->turn();
  for (const engine::BatchItem& item : items_) {
    Question& question = static_cast<Question&>(*item.ticket);
    if (item.next == Next::overloaded) round_.refused_taken();
    take(question, item.next, now);
    judged(question);
  }
}

VerifyPlane::Progress VerifyPlane::verify_batch(Exchange& exchange, std::string_view body, engine::UnixMillis now) {
  if (round_.full()) return refuse(exchange);
  auto batch = std::make_unique<Batch>();
  if (const std::optional<RequestFault> fault = parse_batch(body, *batch)) {
    write_answer(exchange, problem(*fault));
    return Progress::ready;
  }
  round_.take_batch(batch->questions.size(), steady_now);
  exchange.batch = std::move(batch);
  if (metrics_ != nullptr) metrics_->batch(exchange.batch->questions.size());
  items_.clear();
  for (Question& question : exchange.batch->questions) {
    question.exchange = &exchange;
    if (recovers(question)) continue;
    items_.push_back({.request = request_of(question), .ticket = &question, .verdict = &question.verdict});
  }
  if (notes_.has_room(items_.size())) engine_.verifier.verify_batch(items_, now, producer_);
  look_at_clock();
  auto item = items_.begin();  // as it is made, an item says overloaded
  for (Question& question : exchange.batch->questions) {
    if (question.standing == Standing::recovering) continue;
    if (item->next == Next::overloaded) round_.refused_taken();
    take(question, (item++)->next, now);
  }
  return settle(exchange);
}

engine::VerifyRequest VerifyPlane::request_of(const Question& question) const {
  const VerifyFields& fields = question.fields;
  return {
      .user = fields.user.view(),
      .code = fields.code,
      .device = fields.device,
      .receipt = receipt_of(engine_.store.hash_key(), question.exchange->caller.id, fields),
  };
}

// A recovery code goes another way: to the pool of slow hashes.
bool VerifyPlane::recovers(Question& question) {
  question.standing = Standing::asking;
  if (!question.fields.recovery_code) return false;
  question.standing = Standing::recovering;
  ++question.exchange->recovering;
  return true;
}

void VerifyPlane::ask(Question& question, engine::UnixMillis now) {
  if (recovers(question)) return;
  if (!notes_.has_room(1)) return take(question, engine::Next::overloaded, now);
  take(question, engine_.verifier.verify(request_of(question), now, producer_, question, question.verdict), now);
  if (metrics_ != nullptr) {
    question.asked = metrics_->lap();
    metrics_->turn();
  }
  judged(question);
}

// A question that came alone was judged just now, with the lap clock turned.
void VerifyPlane::judged(Question& question) {
  if (metrics_ == nullptr || !question.exchange->verified) return;
  metrics_->observe(LoopMetrics::Stage::engine, question.asked, metrics_->lap());
  question.asked = metrics_->lap();
}

void VerifyPlane::take(Question& question, engine::Next next, engine::UnixMillis now) {
  if (next == engine::Next::answer || next == engine::Next::await_commit) {
    notes_.decided(AskerOf(*question.exchange), question.fields.user.view(), question.verdict, now);
  }
  switch (next) {
    case Next::answer:
      question.standing = Standing::answered;
      break;
    case Next::await_commit:
      question.standing = Standing::committing;
      ++question.exchange->committing;
      break;
    case Next::load_user:
      question.standing = question.loads < loads_max ? Standing::loading : Standing::overloaded;
      break;
    case Next::code_length:
      question.standing = Standing::wrong_length;
      break;
    case Next::unavailable:
      question.standing = Standing::unavailable;
      break;
    case Next::overloaded:
      question.standing = Standing::overloaded;
      break;
  }
}

VerifyPlane::Progress VerifyPlane::settle(Exchange& exchange) {
  if (!exchange.loading) {
    for_each_question(exchange, [&](const Question& question) {
      if (question.standing == Standing::loading) exchange.loading = true;
    });
    if (exchange.loading) return Progress::loads;
  }
  if (exchange.loading || exchange.committing > 0 || exchange.recovering > 0) return Progress::waits;
  render(exchange);
  return Progress::ready;
}

std::vector<VerifyPlane::Load> VerifyPlane::wanted(Exchange& exchange) const {
  std::vector<Load> loads;
  for_each_question(exchange, [&](Question& question) {
    if (question.standing == Standing::loading) loads.push_back({.question = &question});
  });
  return loads;
}

VerifyPlane::Progress VerifyPlane::loaded(Exchange& exchange, const std::vector<Load>& loads, engine::UnixMillis now) {
  exchange.loading = false;
  for (const Load& load : loads) {
    Question& question = *load.question;
    ++question.loads;
    switch (load.result) {
      case Loaded::resident:
        ask(question, now);
        break;
      case Loaded::nobody:
        question.verdict = engine::Verdict{};
        take(question, notes_.has_room(1) ? engine::Next::answer : engine::Next::overloaded, now);
        break;
      case Loaded::store_fault:
        question.standing = Standing::unavailable;
        break;
    }
  }
  return settle(exchange);
}

VerifyPlane::Progress VerifyPlane::load_refused(Exchange& exchange) {
  exchange.loading = false;
  for_each_question(exchange, [](Question& question) {
    if (question.standing == Standing::loading) question.standing = Standing::overloaded;
  });
  return settle(exchange);
}

std::vector<Question*> VerifyPlane::recoveries(Exchange& exchange) const {
  std::vector<Question*> questions;
  for_each_question(exchange, [&](Question& question) {
    if (question.standing != Standing::recovering) return;
    question.standing = Standing::checking;
    questions.push_back(&question);
  });
  return questions;
}

VerifyPlane::RecoveryCheck VerifyPlane::check_of(Question& question) const {
  return {.question = &question,
          .receipt = receipt_of(engine_.store.hash_key(), question.exchange->caller.id, question.fields),
          .origin = AskerOf(*question.exchange).origin()};
}

VerifyPlane::Progress VerifyPlane::recovered(const RecoveryCheck& check) {
  Question& question = *check.question;
  question.standing = check.use ? Standing::answered : Standing::unavailable;
  if (check.use) {
    question.verdict = engine::Verdict{};
    question.verdict.result = check.use->result;
    question.verdict.repeated = check.use->repeated;
    question.verdict.hard_locked = check.use->hard_locked;
    question.verdict.retry_after_s = check.use->retry_after_s;
    question.recovery_codes_left = check.use->left;
    notes_.decided_recovery(AskerOf(*question.exchange), question.fields.user.view(), question.verdict, engine::wall_now());
  }
  --question.exchange->recovering;
  return settle(*question.exchange);
}

VerifyPlane::Progress VerifyPlane::recovery_refused(Question& question) {
  question.standing = Standing::overloaded;
  --question.exchange->recovering;
  return settle(*question.exchange);
}

VerifyPlane::Progress VerifyPlane::committed(Question& question) {
  if (metrics_ != nullptr && question.exchange->verified) {
    metrics_->observe(LoopMetrics::Stage::commit_wait, question.asked, metrics_->lap());
  }
  question.standing = question.outcome == engine::Outcome::failed ? Standing::unavailable : Standing::answered;
  // Another node accepted the code first. A refusal stays what it is: to call it replayed would say that the code was right.
  if (question.outcome == engine::Outcome::conflict && question.verdict.result == Result::accepted) {
    question.verdict.result = Result::replayed;
    question.verdict.repeated = false;
  }
  --question.exchange->committing;
  return settle(*question.exchange);
}

void VerifyPlane::publish() noexcept {
  if (!producer_.has_unpublished()) return;
  producer_.publish();
  engine_.committer.kick(producer_.take_urgent());
}

void VerifyPlane::look_at_clock() noexcept {
  round_.look_at_clock(steady_now);
}

void VerifyPlane::end_round() noexcept {
  if (!round_.empty()) round_.end(steady_now());
}

void load_users(engine::Registrar& registrar, std::vector<VerifyPlane::Load>& loads) noexcept {
  for (VerifyPlane::Load& load : loads) {
    try {
      const bool resident = registrar.load(load.question->fields.user.view());
      load.result = resident ? VerifyPlane::Loaded::resident : VerifyPlane::Loaded::nobody;
    } catch (const std::exception& fault) {
      log(Level::error, "a user could not be loaded",
          {{"reason", fault.what()}, {"trace", std::string(load.question->exchange->trace.view())}});
      load.result = VerifyPlane::Loaded::store_fault;
    }
  }
}

void check_recovery(engine::Registrar& registrar, VerifyPlane::RecoveryCheck& check, engine::UnixMillis now) noexcept {
  try {
    const VerifyFields& fields = check.question->fields;
    const std::optional<engine::UserName> user = engine::UserName::parse(fields.user.view());
    if (!user || !fields.recovery_code) return;
    check.use = registrar.use_recovery_code(*user, *fields.recovery_code, check.receipt, check.origin, now);
    if (!check.use || check.use->result != Result::accepted || check.use->repeated) return;
    log(Level::info, "recovery code used",
        {{"user", user->text()}, {"left", std::int64_t{check.use->left}}, {"trace", check.origin.trace}});
  } catch (const std::exception& fault) {
    log(Level::error, "a recovery code could not be checked", {{"reason", fault.what()}, {"trace", check.origin.trace}});
  }
}

}  // namespace watchword::api
