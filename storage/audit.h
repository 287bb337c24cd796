// The audit trail of a data directory that no server has open: checked, and read from its beginning.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "engine/audit_query.h"
#include "storage/open.h"

namespace watchword::storage {

struct AuditVerdict {
  bool intact = false;
  std::uint64_t first = 0;  // sequence numbers of what is there; 0: nothing
  std::uint64_t last = 0;
  std::uint64_t broken_at = 0;  // where the chain breaks, if it does
  std::string reason;           // for people; empty where intact
};

// Every entry against its hash, its number and the one before it; against a head from audit_head(), if there is one, that
// nothing was cut off since. All throw OpenError, as open_rocks_store does.
AuditVerdict verify_audit(const RocksStoreOptions& options, const std::optional<std::string>& saved_head);
// One line of text that stands for the whole trail up to now, keyed: keep it where who owns the disk cannot change it.
std::string audit_head(const RocksStoreOptions& options);
// Oldest first. Throws engine::StoreError at an entry that cannot be read.
void for_each_audit_row(const RocksStoreOptions& options, const std::function<void(const engine::AuditRow&)>& visit);

}  // namespace watchword::storage
