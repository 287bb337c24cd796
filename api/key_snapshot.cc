#include "api/key_snapshot.h"

#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

namespace watchword::api {
namespace {

AccessKeys::Granted grant(const KeyEntry& entry, std::int64_t secret_until_s) noexcept {
  const AccessKeyView& view = entry.record.view;
  const std::int64_t key_until_s = view.expires_at_s != 0 ? view.expires_at_s : INT64_MAX;
  return {.id = entry.record.id,
          .scopes = view.scopes,
          .until_s = std::min(key_until_s, secret_until_s),
          .interval_ns = entry.interval_ns,
          .use = entry.use};
}

}  // namespace

KeyEntry key_entry_of(KeyRecord record, KeyUse& use) {
  KeyEntry entry{.record = std::move(record), .networks = {}, .interval_ns = 0, .use = &use};
  for (const std::string& range : entry.record.view.address_ranges) {
    const std::optional<Network> network = Network::parse(range);
    if (!network) throw std::runtime_error("\"" + range + "\" is no network");
    entry.networks.push_back(*network);
  }
  if (const std::uint32_t rate = entry.record.view.requests_per_second; rate > 0) entry.interval_ns = 1'000'000'000 / rate;
  return entry;
}

bool is_live_admin(const KeyEntry& entry, std::int64_t now_s) {
  return (entry.record.view.scopes & static_cast<Scopes>(Scope::admin)) != 0 && !entry.record.view.expired(now_s);
}

tl::expected<AccessKeys::Granted, AccessKeys::Denied> judge_key(const KeyEntry& entry, std::int64_t secret_until_s,
                                                                const boost::asio::ip::address& from,
                                                                engine::UnixMillis now) noexcept {
  using Denied = AccessKeys::Denied;
  const AccessKeys::Granted granted = grant(entry, secret_until_s);
  if (!granted.valid_at(now)) return tl::unexpected(Denied{Denied::Reason::expired, granted.id});
  const bool here = entry.networks.empty() || std::any_of(entry.networks.begin(), entry.networks.end(),
                                                          [&](const Network& network) { return network.contains(from); });
  if (!here) return tl::unexpected(Denied{Denied::Reason::wrong_address, granted.id});
  return granted;
}

}  // namespace watchword::api
