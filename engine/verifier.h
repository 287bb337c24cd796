// The decision about a code: charge, compute, claim, refund. No lock, no allocation, no system call for a resident user.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "engine/committer.h"
#include "engine/directory.h"
#include "engine/otp.h"
#include "engine/policy_box.h"
#include "engine/types.h"

namespace watchword::engine {

struct VerifyRequest {
  std::string_view user;  // valid_user()
  Code code;
  std::optional<DeviceId> device;  // only this device
  std::uint64_t receipt = 0;       // receipt_tag() of the request's request_id; 0: none
};

enum class Result : std::uint8_t { accepted, rejected, replayed, locked, no_device };
std::string_view to_string(Result result);

struct Verdict {
  Result result = Result::no_device;
  bool repeated = false;             // the recorded answer to the same request_id
  bool hard_locked = false;          // only an administrator or a recovery code lifts it
  std::uint8_t expected_digits = 0;  // with Next::code_length
  std::uint32_t retry_after_s = 0;   // locked, or rejected and now locked; 0: none
  int drift_steps = 0;               // accepted
  DeviceId device;                   // accepted or replayed; zero: none
  std::uint16_t device_name_bytes = 0;
  char device_name[device_name_bytes_max];
  std::string_view name() const { return {device_name, device_name_bytes}; }
};

enum class Next : std::uint8_t {
  answer,        // the verdict stands
  await_commit,  // the verdict stands once the ticket comes back durable; conflict: replayed; failed: 503
  load_user,     // not resident: Engine::load(user) off the loop, then ask again
  code_length,   // no device that was asked about has codes of this length; nothing charged
  unavailable,   // the store takes no writes: 503
  overloaded,    // the ring is full: 503
};

// One of several verifications that are asked together.
struct BatchItem {
  VerifyRequest request;
  Ticket* ticket;                // as in Verifier::verify
  Verdict* verdict;              // written
  Next next = Next::overloaded;  // written
};

class Verifier {
 public:
  Verifier(Directory& directory, const PolicyBox& policy, const Store& store, const HmacKernel& kernel)
      : directory_(directory), policy_(policy), store_(store), kernel_(kernel) {}

  // On the producer's thread, which is registered with the directory (Directory::ThreadScope). Call producer.publish() and
  // committer.kick() after a batch of calls. `ticket` is used only when await_commit is answered.
  Next verify(const VerifyRequest& request, UnixMillis now, Producer& producer, Ticket& ticket, Verdict& verdict) noexcept;

  // Each item as verify() would; codes of different users are computed side by side, and the memory of the users to come is
  // fetched meanwhile. Two items about one user meet like two requests one after the other.
  void verify_batch(std::span<BatchItem> items, UnixMillis now, Producer& producer) noexcept;

  // Codes of steps that ended at or before this moment plus one window are refused as replayed (see Fence in
  // docs/architecture.md).
  void fence_until(UnixMillis moment) noexcept { fence_ms_.store(moment.value, std::memory_order_relaxed); }

 private:
  // Users that are verified at a time in a batch.
  static constexpr std::size_t bundle_max = 8;
  template <class FetchAhead>
  void verify_bundle(std::span<BatchItem> items, const std::uint64_t* hashes, ResidentUser* const* likely, UnixMillis now,
                     Producer& producer, FetchAhead fetch_ahead_of) noexcept;
  UnixMillis fence() const noexcept { return {fence_ms_.load(std::memory_order_relaxed)}; }

  Directory& directory_;
  const PolicyBox& policy_;
  const Store& store_;
  const HmacKernel& kernel_;
  std::atomic<std::int64_t> fence_ms_{0};
};

// Tag of (caller, user, request_id, code, device): 64 bits of a keyed hash, never 0. Same body and caller, same tag.
std::uint64_t receipt_tag(const SecretBytes& hash_key, std::string_view caller, std::string_view user,
                          std::string_view request_id, std::string_view code, std::string_view device) noexcept;

// How long the answer to a request_id is remembered at least: the retries of a client that lost it.
inline constexpr std::int64_t receipt_lifetime_s = 600;

}  // namespace watchword::engine
