// One verification on one resident block, in its steps: charge, compute, claim, refund. For verifier.cc alone.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>

#include "engine/code_match.h"
#include "engine/fence.h"
#include "engine/verifier.h"
#include "engine/words.h"

namespace watchword::engine {

// Cells that one verification may queue: replay word and throttle word.
inline constexpr std::size_t cells_per_verification_max = 2;
// The receipt of a refusal stands in the throttle cell; the low bit tells which one.
inline constexpr std::uint64_t replayed_mark = 1;

inline void name_device(Verdict& verdict, const ResidentUser& user, const ResidentDevice& device) {
  verdict.device = DeviceId{device.id};
  const std::string_view name = user.device_name(device);
  verdict.device_name_bytes = static_cast<std::uint16_t>(name.size());
  std::memcpy(verdict.device_name, name.data(), name.size());
}

inline CellWrite throttle_write(const ResidentUser& user, CellValue value) {
  return {{UserNumber{user.number}, throttle_slot}, value};
}
inline CellWrite replay_write(const ResidentUser& user, const ResidentDevice& device, CellValue value) {
  return {{UserNumber{user.number}, device.slot}, value};
}

// A block that is being replaced ends a run with `moved`: it is to be asked again, on what is found then.
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
    if (const std::optional<End> end = begin(user)) return *end;
    compute(user);
    return claim(user);
  }

  // In parts, so that several attempts compute their codes together: begin(), then plan() and, once the shared codes are
  // computed, compare_planned() - or compute() -, then claim().
  std::optional<End> begin(ResidentUser& user) {
    block_ = &user;
    user.use();
    if (const std::optional<End> end = choose_devices(user)) {
      // The device that was to be looked at went while its user's block was replaced: nothing was guessed.
      if (charged_ && !give_back(user)) return End::moved;
      return end;
    }
    // Once charged, claim() looks for the recorded answer, and gives the charge back with it.
    if (request_.receipt != 0 && !charged_) {
      if (const std::optional<End> end = recall(user)) return end;
    }
    return charge_attempt(user);
  }

  // False: not all devices speak SHA-1, or there is no room; nothing is planned.
  bool plan(ResidentUser& user, SharedCodes& codes) {
    std::size_t needed = 0;
    for (std::size_t i = 0; i < count_; ++i) {
      look_around(candidates_[i], now_, policy_.window_steps);
      if (candidates_[i].device->algorithm != Algorithm::sha1) return false;
      needed += candidates_[i].count;
    }
    if (needed > SharedCodes::codes_max - codes.count) return false;
    planned_at_ = codes.count;
    for (std::size_t i = 0; i < count_; ++i) {
      const Match& match = candidates_[i];
      const std::uint8_t* const key_state = user.key_state(*match.device);
      for (std::size_t k = 0; k < match.count; ++k, ++codes.count) {
        codes.jobs[codes.count] = {key_state, static_cast<std::uint64_t>(match.first) + k, &codes.values[codes.count]};
      }
    }
    return true;
  }

  void compare_planned(const SharedCodes& codes) {
    const std::uint32_t* values = codes.values + planned_at_;
    for (std::size_t i = 0; i < count_; values += candidates_[i++].count) compare(candidates_[i], values, request_.code);
  }

  void compute(ResidentUser& user) {
    for (std::size_t i = 0; i < count_; ++i) {
      Match& match = candidates_[i];
      look_around(match, now_, policy_.window_steps);
      std::uint32_t values[steps_max];
      kernel_.truncate(match.device->algorithm, user.key_state(*match.device), static_cast<std::uint64_t>(match.first),
                       match.count, values);
      compare(match, values, request_.code);
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

  // After an acceptance on a block that was being replaced: the failures are still to be forgotten, in its successor.
  // nullptr: the user was taken out of memory.
  bool owes_forgetting() const { return owed_.has_value(); }
  void forget(ResidentUser* user) {
    if (user != nullptr) {
      user->use();
      if (!forget_failures(*user)) return;
    } else {
      leave_behind([](ThrottleWord word) { return clear(word); });
    }
    producer_.push(*owed_, &ticket_);
    owed_.reset();
  }

  // The user was taken out of memory before anything was decided: the request begins anew once they are back, and is
  // charged then.
  void part() {
    if (!charged_) return;
    std::uint64_t word = charged_->bits | ReplayWord::frozen_bit;
    if (!block_->throttle.exchange_word(word, before_.bits | ReplayWord::frozen_bit)) {
      leave_behind([this](ThrottleWord held) { return refund(held, *charged_); });
    }
    charged_.reset();
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

  // In the block that was taken out of memory, frozen as it is: Directory::take() reads its words when the last reader has
  // left, so they live on in what its caller makes of them.
  template <class Next>
  void leave_behind(Next next) {
    std::uint64_t word = block_->throttle.word();
    std::uint64_t left = 0;
    do {
      left = next(ThrottleWord{word}.thawed()).bits;
    } while (!block_->throttle.exchange_word(word, left | ReplayWord::frozen_bit));
    producer_.push(throttle_write(*block_, {left, block_->throttle.receipt()}), nullptr);
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
    const bool given_back = request_.receipt == 0 ? give_back(user) : give_back_and_record(user);
    if (!given_back) return End::moved;
    verdict_.result = Result::replayed;
    name_device(verdict_, user, device);
    return End::answer;
  }

  // Both in one step. False: the block is being replaced, nothing happened.
  bool give_back_and_record(ResidentUser& user) {
    return change_throttle(user, nullptr, [this](const CellValue& held) {
      return CellValue{refund(ThrottleWord{held.word}, *charged_).bits, request_.receipt | replayed_mark};
    });
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
    if (request_.receipt == 0) {
      producer_.push(throttle_write(user, {charged_->bits, user.throttle.receipt()}), ticket);
    } else if (!record_rejection(user, ticket)) {
      return End::moved;
    }
    return lock ? End::await_commit : End::answer;
  }

  // False: the block is being replaced, nothing happened.
  bool record_rejection(ResidentUser& user, Ticket* ticket) {
    return change_throttle(user, ticket, [this](const CellValue& held) {
      const ThrottleWord word{held.word};
      return CellValue{ThrottleWord::make(word.failures(), word.locked_until_ds(), word.next_version()).bits,
                       request_.receipt};
    });
  }

  template <class Next>
  bool change_throttle(ResidentUser& user, Ticket* ticket, Next next) {
    for (;;) {
      const CellValue held = user.throttle.load();
      if (ThrottleWord{held.word}.frozen()) return false;
      const CellValue changed = next(held);
      if (!user.throttle.exchange(held, changed)) continue;
      producer_.push(throttle_write(user, changed), ticket);
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
  ResidentUser* block_ = nullptr;  // the last one that it ran on
  std::size_t count_ = 0;
  std::size_t planned_at_ = 0;
  Match candidates_[devices_per_user_max];
  ThrottleWord before_;
  std::optional<ThrottleWord> charged_;
  std::optional<CellWrite> owed_;  // the acceptance, until the failures before it are forgotten
};

}  // namespace watchword::engine
