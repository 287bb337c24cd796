// Who outside hears of the audit trail: a file, a syslog server, a webhook. A TrailFollower feeds it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/audit_query.h"

namespace watchword::api {

struct Delivery {
  // About the first entry that was not taken.
  enum class Rest : std::uint8_t {
    none,   // all were taken, or the next one is to be offered at once
    holds,  // later, and nothing else before it: the receiver is not there
    aside,  // later, and before anything else about its user; other people's entries go on
  };
  std::size_t taken = 0;  // from the front
  Rest rest = Rest::none;
};

class TrailReceiver {
 public:
  virtual ~TrailReceiver() = default;

  // Whether the entry is for this receiver; others are passed over.
  virtual bool wants(const engine::AuditEntry&) const { return true; }
  // How many entries it takes at once.
  virtual std::size_t batch_max() const { return 1; }
  // Entries in the order of the trail. `attempt` counts from 1 for the first of them. On the follower's thread; may block
  // for seconds.
  virtual Delivery deliver(std::span<const engine::AuditRow> rows, unsigned attempt) = 0;
  // Any thread: a delivery under way ends soon, with or without success, and so do all later ones.
  virtual void cancel() noexcept {}
};

}  // namespace watchword::api
