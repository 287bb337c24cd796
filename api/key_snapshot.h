// The API keys that count, as requests are judged by them: sorted, and immutable but for their use. Part of AccessKeys.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "api/key_document.h"
#include "api/network.h"

namespace watchword::api {

struct KeyEntry {
  KeyRecord record;
  std::vector<Network> networks;
  std::int64_t interval_ns = 0;
  KeyUse* use = nullptr;
};
using KeySnapshot = std::vector<KeyEntry>;  // ascending by id

template <class Entries>
auto find_key(Entries& entries, std::uint64_t id) -> decltype(entries.data()) {
  const auto at = std::lower_bound(entries.begin(), entries.end(), id,
                                   [](const KeyEntry& entry, std::uint64_t wanted) { return entry.record.id < wanted; });
  return at != entries.end() && at->record.id == id ? &*at : nullptr;
}

// Throws std::runtime_error where a network of the record cannot be read. `use` outlives the entry.
KeyEntry key_entry_of(KeyRecord record, KeyUse& use);
bool is_live_admin(const KeyEntry& entry, std::int64_t now_s);
// What the key is worth to who came from there with a secret that counts until then.
tl::expected<AccessKeys::Granted, AccessKeys::Denied> judge_key(const KeyEntry& entry, std::int64_t secret_until_s,
                                                                const boost::asio::ip::address& from,
                                                                engine::UnixMillis now) noexcept;

}  // namespace watchword::api
