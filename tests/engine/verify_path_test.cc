// What the way from a parsed request to the verdict, or to the queue, costs beside computing: nothing.
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstddef>

#include "tests/engine/allocation_counter.h"
#include "tests/engine/engine_fixture.h"

namespace watchword::engine::test {
namespace {

// What one thread asks, again and again: right, replayed, wrong and several at once.
class Round {
 public:
  Round(Engine& engine, std::vector<Phone> phones) : engine_(engine), phones_(std::move(phones)) {
    for (std::size_t i = 0; i < phones_.size(); ++i) users_.push_back("user" + std::to_string(i));
    for (const Phone& phone : phones_) {
      right_.push_back(*Code::parse(phone.code(when_)));
      wrong_.push_back(*Code::parse(phone.wrong_code(when_)));
    }
  }

  // The tickets are the committer's until they are delivered.
  ~Round() { engine_.committer.stop(); }
  Round(const Round&) = delete;
  Round& operator=(const Round&) = delete;

  // True: every answer was the expected one.
  bool run(Producer& producer) {
    bool as_expected = true;
    for (std::size_t i = 0; i < users_.size(); ++i) {
      const bool first = !used_;
      as_expected &= ask(i, right_[i], producer) == (first ? Result::accepted : Result::replayed);
      as_expected &= ask(i, wrong_[i], producer) == Result::rejected;
    }
    used_ = true;
    for (std::size_t i = 0; i < items_.size(); ++i) {
      const std::size_t user = i % users_.size();
      items_[i] = {
          .request = {.user = users_[user], .code = right_[user]}, .ticket = &tickets_[i], .verdict = &verdicts_[i]};
    }
    engine_.verifier.verify_batch(items_, when_, producer);
    for (std::size_t i = 0; i < items_.size(); ++i) {
      as_expected &= items_[i].next == Next::answer && verdicts_[i].result == Result::replayed;
    }
    producer.publish();
    return as_expected;
  }

 private:
  Result ask(std::size_t user, Code code, Producer& producer) {
    engine_.verifier.verify({.user = users_[user], .code = code}, when_, producer, tickets_[user], verdicts_[0]);
    return verdicts_[0].result;
  }

  Engine& engine_;
  const UnixMillis when_{1'700'000'010'000};
  std::vector<Phone> phones_;
  std::vector<std::string> users_;
  std::vector<Code> right_, wrong_;
  std::array<Ticket, 20> tickets_;
  std::array<Verdict, 20> verdicts_;
  std::array<BatchItem, 20> items_;
  bool used_ = false;
};

class DroppingSink : public TicketSink {
 public:
  void deliver(Ticket*) noexcept override {}
};

class VerifyPath : public EngineTest {
 protected:
  std::vector<Phone> phones() {
    std::vector<Phone> all;
    for (int i = 0; i < 7; ++i) all.push_back(registered("user" + std::to_string(i)));
    return all;
  }
  DroppingSink sink;
};

TEST_F(VerifyPath, AllocatesNothing) {
  Round round(engine, phones());
  Producer& producer = engine.committer.add_producer(&sink);
  const std::uint64_t before = allocations_of_this_thread();
  bool as_expected = true;
  for (int i = 0; i < 5; ++i) as_expected &= round.run(producer);
  EXPECT_EQ(allocations_of_this_thread(), before);
  EXPECT_TRUE(as_expected);
}

TEST_F(VerifyPath, TheCounterOfAllocationsCounts) {
  const std::uint64_t before = allocations_of_this_thread();
  const std::string text(100, 'x');
  EXPECT_GT(allocations_of_this_thread(), before) << text;
}

#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
// From here on this thread may end its process, and every other system call kills it: a futex first of all.
bool forbid_system_calls() {
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
  };
  const sock_fprog filter{static_cast<unsigned short>(std::size(program)), program};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

// In a process of its own, which ends with 0 when `work` was done without a system call.
template <class Work>
int status_without_system_calls(Work work) {
  const pid_t child = fork();
  if (child == 0) {
    if (!forbid_system_calls()) syscall(SYS_exit_group, 77);
    syscall(SYS_exit_group, work() ? 0 : 1);
  }
  int status = -1;
  waitpid(child, &status, 0);
  return status;
}

TEST_F(VerifyPath, MakesNoSystemCall) {
  Round round(engine, phones());
  Producer& producer = engine.committer.add_producer(&sink);
  // Once before: what is bound at its first call is bound.
  ASSERT_TRUE(round.run(producer));
  const int status = status_without_system_calls([&] {
    bool as_expected = true;
    for (int i = 0; i < 5; ++i) as_expected &= round.run(producer);
    return as_expected;
  });
  EXPECT_TRUE(WIFEXITED(status)) << "killed by signal " << WTERMSIG(status) << " at a system call";
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST_F(VerifyPath, TheGuardAgainstSystemCallsSeesOne) {
  const int status = status_without_system_calls([] { return syscall(SYS_futex, nullptr, 0, 0) == 0; });
  EXPECT_TRUE(WIFSIGNALED(status));
}
#endif

}  // namespace
}  // namespace watchword::engine::test
