#include "engine/verifier.h"

#include "engine/fence.h"

#include <sched.h>

#include <algorithm>
#include <cstring>

#include "engine/words.h"

namespace watchword::engine {
namespace {

// Codes of one attempt: all devices over all steps. Bounded by policy's own bounds.
constexpr std::size_t steps_max = 2 * window_steps_max + 1;
// Cells that one verification may queue: replay word and throttle word.
constexpr std::size_t cells_per_verification_max = 2;
// The receipt of a refusal stands in the throttle cell; the low bit tells which one.
constexpr std::uint64_t replayed_mark = 1;

struct Match {
  ResidentDevice* device;
  std::int64_t step;
  StepTime now;
};

// All steps of the window around now + drift, compared without an early exit. Returns the newest match, or -1.
std::int64_t newest_match(const HmacKernel& kernel, const ResidentUser& user, const ResidentDevice& device, StepTime now,
                          unsigned window_steps, Code code) {
  const std::int64_t centre = expected_step(ReplayWord{device.replay.word()}, now);
  const std::int64_t first = std::max<std::int64_t>(0, centre - window_steps);
  const std::int64_t last = std::max<std::int64_t>(first, centre + window_steps);
  const auto count = static_cast<std::size_t>(last - first + 1);
  std::uint32_t values[steps_max];
  kernel.truncate(device.algorithm, user.key_state(device), static_cast<std::uint64_t>(first), count, values);
  const std::uint32_t modulus = code_modulus(device.digits);
  std::int64_t match = -1;
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint32_t difference = values[i] % modulus ^ code.value;
    // All ones where equal: no branch on the code.
    const std::int64_t equal = -static_cast<std::int64_t>((static_cast<std::uint64_t>(difference) - 1) >> 63);
    match = (match & ~equal) | ((first + static_cast<std::int64_t>(i)) & equal);
  }
  return match;
}

void name_device(Verdict& verdict, const ResidentUser& user, const ResidentDevice& device) {
  verdict.device = DeviceId{device.id};
  const std::string_view name = user.device_name(device);
  verdict.device_name_bytes = static_cast<std::uint16_t>(name.size());
  std::memcpy(verdict.device_name, name.data(), name.size());
}

CellWrite throttle_write(const ResidentUser& user, CellValue value) {
  return {{UserNumber{user.number}, throttle_slot}, value};
}
CellWrite replay_write(const ResidentUser& user, const ResidentDevice& device, CellValue value) {
  return {{UserNumber{user.number}, device.slot}, value};
}

// One verification on one resident block. A block that is being replaced ends it with `moved`, to be asked again on the
// next.
class Attempt {
 public:
  enum class End : std::uint8_t { answer, await_commit, code_length, moved };

  Attempt(const VerifyRequest& request, UnixMillis now, const Policy& policy, const HmacKernel& kernel, UnixMillis fence,
          Producer& producer, Ticket& ticket, Verdict& verdict)
      : request_(request),
        now_(now),
        policy_(policy),
        kernel_(kernel),
        fence_(fence),
        producer_(producer),
        ticket_(ticket),
        verdict_(verdict) {}

  End run(ResidentUser& user) {
    if (const std::optional<End> end = choose_devices(user)) {
      // The device that was to be looked at went while its user's block was replaced: nothing was guessed.
      if (charged_ && !give_back(user)) return End::moved;
      return *end;
    }
    // Once charged, claim() looks for the recorded answer, and gives the charge back with it.
    if (request_.receipt != 0 && !charged_) {
      if (const std::optional<End> end = recall(user)) return *end;
    }
    if (const std::optional<End> end = charge_attempt(user)) return *end;
    compute(user);
    return claim(user);
  }

  // After an acceptance on a block that was being replaced: the failures are still to be forgotten, in its successor.
  // nullptr: the user is gone from memory, and with them what could be forgotten.
  bool owes_forgetting() const { return owed_.has_value(); }
  void forget(ResidentUser* user) {
    if (user != nullptr && !forget_failures(*user)) return;
    producer_.push(*owed_, &ticket_);
    owed_.reset();
  }

 private:
  std::optional<End> choose_devices(ResidentUser& user) {
    count_ = 0;
    bool any = false;
    for (std::size_t i = 0; i < user.device_count; ++i) {
      ResidentDevice& device = user.devices()[i];
      if (!device.enabled || (request_.device && request_.device->value != device.id)) continue;
      any = true;
      verdict_.expected_digits = device.digits;
      if (device.digits == request_.code.digits) candidates_[count_++].device = &device;
    }
    if (count_ > 0) return std::nullopt;
    verdict_.result = Result::no_device;
    return any ? End::code_length : End::answer;
  }

  // The recorded answer to this very request. An acceptance is queued again, so that the answer waits until the first is
  // durable.
  std::optional<End> recall(ResidentUser& user) {
    for (std::size_t i = 0; i < count_; ++i) {
      ResidentDevice& device = *candidates_[i].device;
      const CellValue held = device.replay.load();
      if (held.receipt == request_.receipt && remembered(held, device)) return repeat_acceptance(user, device, held);
    }
    const std::uint64_t refused = user.throttle.load().receipt;
    if ((refused & ~replayed_mark) != request_.receipt) return std::nullopt;
    verdict_.result = (refused & replayed_mark) != 0 ? Result::replayed : Result::rejected;
    verdict_.repeated = true;
    return End::answer;
  }

  bool remembered(const CellValue& held, const ResidentDevice& device) const {
    if (ReplayWord{held.word}.last_step() <= fenced_step(fence_, device.period_s, policy_)) return false;
    const std::int64_t age_steps = step_at(now_, device.period_s) - ReplayWord{held.word}.last_step();
    return age_steps * device.period_s <= receipt_lifetime_s;
  }

  End repeat_acceptance(ResidentUser& user, const ResidentDevice& device, const CellValue& held) {
    if (ReplayWord{held.word}.frozen()) return End::moved;
    verdict_.result = Result::accepted;
    verdict_.repeated = true;
    verdict_.drift_steps = ReplayWord{held.word}.drift_steps();
    name_device(verdict_, user, device);
    producer_.push(replay_write(user, device, held), &ticket_);
    return End::await_commit;
  }

  // Before the code is looked at, so that no burst of guesses slips past the limit.
  std::optional<End> charge_attempt(ResidentUser& user) {
    if (charged_) return std::nullopt;  // on a block that has since been replaced; the charge was carried over
    std::uint64_t word = user.throttle.word();
    for (;;) {
      if (ThrottleWord{word}.frozen()) return End::moved;
      const std::optional<ThrottleWord> next = charge(ThrottleWord{word}, now_, policy_.lockout);
      if (!next) {
        const Lock lock = locked(ThrottleWord{word}, now_, policy_.lockout).value_or(Lock{});
        verdict_.result = Result::locked;
        verdict_.hard_locked = lock.hard;
        verdict_.retry_after_s = lock.retry_after_s;
        return End::answer;
      }
      if (!user.throttle.exchange_word(word, next->bits)) continue;
      before_ = ThrottleWord{word};
      charged_ = *next;
      return std::nullopt;
    }
  }

  void compute(ResidentUser& user) {
    for (std::size_t i = 0; i < count_; ++i) {
      Match& match = candidates_[i];
      match.now = step_time_at(now_, match.device->period_s);
      match.step = newest_match(kernel_, user, *match.device, match.now, policy_.window_steps, request_.code);
    }
  }

  End claim(ResidentUser& user) {
    const Match* replayed = nullptr;
    for (std::size_t i = 0; i < count_; ++i) {
      const Match& match = candidates_[i];
      if (match.step < 0) continue;
      for (;;) {
        const CellValue held = match.device->replay.load();
        if (ReplayWord{held.word}.frozen()) return End::moved;
        const std::optional<ReplayWord> next = fenced(match) ? std::nullopt
                                                             : accept_step(ReplayWord{held.word}, match.step, match.now,
                                                                           static_cast<int>(policy_.max_drift_steps));
        if (!next) {
          // Another thread accepted this very request since recall() looked.
          if (request_.receipt != 0 && held.receipt == request_.receipt && remembered(held, *match.device)) {
            if (!give_back(user)) return End::moved;
            return repeat_acceptance(user, *match.device, held);
          }
          replayed = &match;
          break;
        }
        const CellValue accepted{next->bits, request_.receipt};
        if (match.device->replay.exchange(held, accepted)) return accept(user, *match.device, accepted);
      }
    }
    return replayed != nullptr ? refuse_replay(user, *replayed->device) : reject(user);
  }

  bool fenced(const Match& match) const { return match.step <= fenced_step(fence_, match.device->period_s, policy_); }

  End accept(ResidentUser& user, const ResidentDevice& device, const CellValue& accepted) {
    verdict_.result = Result::accepted;
    verdict_.drift_steps = ReplayWord{accepted.word}.drift_steps();
    name_device(verdict_, user, device);
    std::uint64_t word = charged_->bits;
    const bool nothing_before = before_.failures() == 0 && before_.locked_until_ds() == 0;
    if (nothing_before && user.throttle.exchange_word(word, before_.bits)) {
      producer_.push(replay_write(user, device, accepted), &ticket_);
      return End::await_commit;
    }
    // The answer waits for the replay word: of two that are pushed, the last may be in a later group.
    const CellWrite write = replay_write(user, device, accepted);
    if (forget_failures(user)) {
      producer_.push(write, &ticket_);
    } else {
      owed_ = write;
    }
    return End::await_commit;
  }

  // All failures and the lock. False: the block is being replaced, nothing happened.
  bool forget_failures(ResidentUser& user) {
    std::uint64_t word = user.throttle.word();
    std::uint64_t cleared = 0;
    do {
      if (ThrottleWord{word}.frozen()) return false;
      cleared = clear(ThrottleWord{word}).bits;
    } while (!user.throttle.exchange_word(word, cleared));
    producer_.push(throttle_write(user, {cleared, user.throttle.receipt()}), nullptr);
    return true;
  }

  // Takes the charge back. Undone exactly where nobody came in between; else one failure less, which is then written.
  // False: the block is being replaced, nothing happened.
  bool give_back(ResidentUser& user) {
    std::uint64_t word = charged_->bits;
    if (user.throttle.exchange_word(word, before_.bits)) return true;
    std::uint64_t next = 0;
    do {
      if (ThrottleWord{word}.frozen()) return false;
      next = refund(ThrottleWord{word}, *charged_).bits;
    } while (!user.throttle.exchange_word(word, next));
    producer_.push(throttle_write(user, {next, user.throttle.receipt()}), nullptr);
    return true;
  }

  End refuse_replay(ResidentUser& user, const ResidentDevice& device) {
    if (!give_back(user)) return End::moved;
    verdict_.result = Result::replayed;
    name_device(verdict_, user, device);
    if (request_.receipt != 0) record_refusal(user, request_.receipt | replayed_mark, nullptr);
    return End::answer;
  }

  End reject(ResidentUser& user) {
    verdict_.result = Result::rejected;
    const std::optional<Lock> lock = locked(*charged_, now_, policy_.lockout);
    if (lock) {
      verdict_.retry_after_s = lock->retry_after_s;
      verdict_.hard_locked = lock->hard;
    }
    // A lock that was answered must not be forgotten: that answer waits for the disk.
    Ticket* const ticket = lock ? &ticket_ : nullptr;
    if (request_.receipt == 0 || !record_refusal(user, request_.receipt, ticket)) {
      producer_.push(throttle_write(user, {charged_->bits, user.throttle.receipt()}), ticket);
    }
    return lock ? End::await_commit : End::answer;
  }

  bool record_refusal(ResidentUser& user, std::uint64_t receipt, Ticket* ticket) {
    for (;;) {
      const CellValue held = user.throttle.load();
      const ThrottleWord word{held.word};
      if (word.frozen()) return false;
      const CellValue marked{ThrottleWord::make(word.failures(), word.locked_until_ds(), word.next_version()).bits, receipt};
      if (!user.throttle.exchange(held, marked)) continue;
      producer_.push(throttle_write(user, marked), ticket);
      return true;
    }
  }

  const VerifyRequest& request_;
  const UnixMillis now_;
  const Policy& policy_;
  const HmacKernel& kernel_;
  const UnixMillis fence_;
  Producer& producer_;
  Ticket& ticket_;
  Verdict& verdict_;
  std::size_t count_ = 0;
  Match candidates_[devices_per_user_max];
  ThrottleWord before_;
  std::optional<ThrottleWord> charged_;
  std::optional<CellWrite> owed_;  // the acceptance, until the failures before it are forgotten
};

}  // namespace

std::string_view to_string(Result result) {
  switch (result) {
    case Result::accepted:
      return "accepted";
    case Result::rejected:
      return "rejected";
    case Result::replayed:
      return "replayed";
    case Result::locked:
      return "locked";
    case Result::no_device:
      return "no_device";
  }
  return "unknown";
}

Next Verifier::verify(const VerifyRequest& request, UnixMillis now, Producer& producer, Ticket& ticket,
                      Verdict& verdict) noexcept {
  const ReadScope scope;
  return verify_hashed(request, hash_user(request.user), now, producer, ticket, verdict);
}

void Verifier::verify_batch(std::span<BatchItem> items, UnixMillis now, Producer& producer) noexcept {
  // A miss to memory lasts about as long as one verification; a few of them lie between asking for a slot, asking for the
  // block that it names, and needing either.
  constexpr std::size_t slot_ahead = 8, block_ahead = 4;
  constexpr std::size_t group_max = 64;  // a read scope ends now and then: replaced blocks are freed only after it
  for (std::size_t begin = 0; begin < items.size(); begin += group_max) {
    const std::span<BatchItem> group = items.subspan(begin, std::min(group_max, items.size() - begin));
    std::uint64_t hashes[group_max];
    const ReadScope scope;
    const auto fetch_slot = [&](std::size_t i) {
      if (i >= group.size()) return;
      hashes[i] = hash_user(group[i].request.user);
      directory_.prefetch(hashes[i]);
    };
    const auto fetch_block = [&](std::size_t i) {
      if (i < group.size()) directory_.prefetch_user(hashes[i]);
    };
    for (std::size_t i = 0; i < slot_ahead; ++i) fetch_slot(i);
    for (std::size_t i = 0; i < block_ahead; ++i) fetch_block(i);
    for (std::size_t i = 0; i < group.size(); ++i) {
      fetch_slot(i + slot_ahead);
      fetch_block(i + block_ahead);
      BatchItem& item = group[i];
      item.next = verify_hashed(item.request, hashes[i], now, producer, *item.ticket, *item.verdict);
    }
  }
}

Next Verifier::verify_hashed(const VerifyRequest& request, std::uint64_t hash, UnixMillis now, Producer& producer,
                             Ticket& ticket, Verdict& verdict) noexcept {
  if (!store_.writable()) return Next::unavailable;
  if (!producer.has_room(cells_per_verification_max)) return Next::overloaded;
  verdict.repeated = false;
  verdict.hard_locked = false;
  verdict.expected_digits = 0;
  verdict.retry_after_s = 0;
  verdict.drift_steps = 0;
  verdict.device = {};
  verdict.device_name_bytes = 0;

  Attempt attempt(request, now, policy_.current(), kernel_, UnixMillis{fence_ms_.load(std::memory_order_relaxed)}, producer,
                  ticket, verdict);
  // A block is frozen only while its successor is being published: microseconds.
  for (unsigned tries = 0;; ++tries) {
    ResidentUser* const user = directory_.find(request.user, hash);
    if (attempt.owes_forgetting()) {
      attempt.forget(user);
      if (!attempt.owes_forgetting()) return Next::await_commit;
      if (tries > 64) sched_yield();
      continue;
    }
    if (user == nullptr) return Next::load_user;
    switch (attempt.run(*user)) {
      case Attempt::End::answer:
        return Next::answer;
      case Attempt::End::await_commit:
        if (!attempt.owes_forgetting()) return Next::await_commit;
        break;
      case Attempt::End::code_length:
        return Next::code_length;
      case Attempt::End::moved:
        break;
    }
    if (tries > 64) sched_yield();
  }
}

}  // namespace watchword::engine
