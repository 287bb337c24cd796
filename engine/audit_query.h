// Reading the audit trail: newest first, a page at a time.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "engine/audit.h"

namespace watchword::engine {

// A place in the order of time: entries of one millisecond stand in the order in which they were written.
struct AuditMoment {
  std::int64_t at_ms = std::numeric_limits<std::int64_t>::max();
  std::uint64_t sequence = std::numeric_limits<std::uint64_t>::max();
};

struct AuditQuery {
  UnixMillis from{0};
  UnixMillis to{std::numeric_limits<std::int64_t>::max()};  // exclusive
  std::string user;                                         // empty: anybody
  std::string action;                                       // empty: anything
  AuditMoment before;                                       // exclusive: where the page before ended
  std::size_t limit = 100;
};

struct AuditRow {
  std::uint64_t sequence = 0;
  AuditEntry entry;
};

struct AuditPage {
  std::vector<AuditRow> rows;
  std::optional<AuditMoment> next;  // there may be more before this; a page can be short, even empty, and have it
};

}  // namespace watchword::engine
