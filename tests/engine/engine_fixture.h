// An engine over a store in memory, with people whose codes the test can compute.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <string>

#include "engine/engine.h"
#include "tests/engine/memory_store.h"

namespace watchword::engine::test {

inline const Origin tester{.actor = "key:0000000000000001", .address = "192.0.2.7", .trace = {}};

// Waits for tickets as an event loop would receive them.
class WaitingSink : public TicketSink {
 public:
  void deliver(Ticket* first) noexcept override {
    const std::lock_guard lock(mutex_);
    for (; first != nullptr; first = first->next) ++delivered_;
    arrived_.notify_all();
  }
  void wait_for(std::size_t count) {
    std::unique_lock lock(mutex_);
    arrived_.wait(lock, [&] { return delivered_ >= count; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::size_t delivered_ = 0;
};

// One thread that asks, as a loop would.
class Client {
 public:
  explicit Client(Engine& engine) : engine_(engine), producer_(engine.committer.add_producer(&sink_)) {}

  struct Answer {
    Next next;
    Verdict verdict;
    Outcome outcome = Outcome::durable;
  };
  Answer verify(std::string_view user, std::string_view code, UnixMillis now, std::uint64_t receipt = 0,
                std::optional<DeviceId> device = std::nullopt) {
    Answer answer;
    const VerifyRequest request{.user = user, .code = *Code::parse(code), .device = device, .receipt = receipt};
    for (;;) {
      Ticket ticket;
      answer.next = engine_.verifier.verify(request, now, producer_, ticket, answer.verdict);
      producer_.publish();
      engine_.committer.kick();
      if (answer.next == Next::load_user) {
        if (engine_.registrar.load(user)) continue;
        answer.next = Next::answer;
        answer.verdict.result = Result::no_device;
      }
      if (answer.next == Next::await_commit) {
        sink_.wait_for(++awaited_);
        answer.outcome = ticket.outcome;
      }
      return answer;
    }
  }
  Result result(std::string_view user, std::string_view code, UnixMillis now) {
    return verify(user, code, now).verdict.result;
  }

 private:
  Engine& engine_;
  WaitingSink sink_;
  Producer& producer_;
  std::size_t awaited_ = 0;
};

struct Phone {
  DeviceId id;
  OtpParameters parameters;
  std::vector<std::uint8_t> secret;
  std::string code(UnixMillis when) const { return totp(parameters, secret, when); }
  std::string wrong_code(UnixMillis when) const {
    for (std::uint32_t guess = 0;; ++guess) {
      const std::string text = format_code(guess, parameters.digits);
      bool right = false;
      for (int step = -12; step <= 12; ++step) {
        right |= code({when.value + step * parameters.period_s * 1000}) == text;
      }
      if (!right) return text;
    }
  }
};

class EngineTest : public ::testing::Test {
 protected:
  static constexpr UnixMillis start{1'700'000'010'000};  // the begin of a step of 30 s
  static UnixMillis after_s(double seconds) { return {start.value + static_cast<std::int64_t>(seconds * 1000)}; }

  static UserName name(std::string_view text) { return *UserName::parse(text); }

  // Registered and confirmed five minutes before `start`.
  Phone registered(std::string_view user, NewDevice device = {.name = "phone"}) {
    const UnixMillis when{start.value - 300'000};
    const auto begun = engine.registrar.begin(name(user), device, tester, when);
    EXPECT_TRUE(begun.has_value());
    Phone phone{begun->device.id, begun->device.parameters, begun->secret.bytes()};
    const auto confirmed = engine.registrar.confirm(name(user), phone.id, *Code::parse(phone.code(when)), tester, when);
    EXPECT_TRUE(confirmed.has_value() && confirmed->accepted);
    return phone;
  }

  RcuThread rcu;
  MemoryStore store;
  Engine engine{store, Policy{}};
};

}  // namespace watchword::engine::test
