// A verification for a thread that may wait: the one path of engine::Verifier, with a ring of its own, and the answer when
// it is on disk. For worker threads (registered: engine::RcuThread); never an event loop's.
#pragma once

#include <condition_variable>
#include <mutex>

#include <tl/expected.hpp>

#include "api/loop_metrics.h"
#include "api/verification_notes.h"
#include "engine/engine.h"

namespace watchword::api {

class WaitingVerifier final : public engine::TicketSink {
 public:
  enum class Refusal : std::uint8_t { wrong_length, overloaded, store_unavailable };
  struct Refused {
    Refusal refusal;
    unsigned expected_digits = 0;  // with wrong_length
  };

  // Before the committer's first batch, as any producer; lives until nobody waits.
  explicit WaitingVerifier(engine::Engine& engine)
      : engine_(engine), producer_(engine.committer.add_producer(this)), notes_(producer_, engine.policy) {}
  ~WaitingVerifier() override;

  // `origin`: for the audit trail. Throws StoreError.
  tl::expected<engine::Verdict, Refused> verify(const engine::VerifyRequest& request, const engine::Origin& origin,
                                                engine::UnixMillis now);

  // What was answered so far, into the server's sum.
  void collect(metrics::Collected& into) const { collect_verifications(answered_, into); }

  // Committer's thread.
  void deliver(engine::Ticket* first) noexcept override;

 private:
  tl::expected<engine::Verdict, Refused> ask(const engine::VerifyRequest& request, const engine::Origin& origin,
                                             engine::UnixMillis now);

  struct Awaited : engine::Ticket {
    bool back = false;  // under mutex_
  };

  engine::Engine& engine_;
  engine::Producer& producer_;  // under asking_: one producer at a time
  VerificationNotes notes_;     // likewise
  std::mutex asking_;
  std::mutex mutex_;
  std::condition_variable returned_;
  std::array<metrics::SharedCounter, asked_count> answered_;
};

}  // namespace watchword::api
