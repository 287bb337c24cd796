// API keys: who may call, for what, from where, until when and how often. A key is `ww_<id>_<secret>`: id 16 lower-case
// hexadecimal digits, secret 43 characters of base64url for 32 random bytes. The store holds SHA-256 of the whole key;
// comparison is constant-time; a revoked key is refused from the next request on.
//
// Rotation gives the key a new secret under the same id: whoever called still is the same caller (in the audit trail, in the
// answers to repeated requests), and the old secret goes on counting for a while beside the new one.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <boost/asio/ip/address.hpp>
#include <tl/expected.hpp>

#include "api/key_use.h"
#include "engine/committer.h"
#include "engine/store.h"

namespace watchword::api {

enum class Scope : std::uint8_t { verify = 1, enroll = 2, read = 4, admin = 8, audit = 16, metrics = 32 };
using Scopes = std::uint8_t;  // union of Scope bits
std::string_view to_string(Scope scope);
std::optional<Scope> parse_scope(std::string_view text);
std::vector<std::string> scope_names(Scopes scopes);
// `admin` implies all others.
bool allows(Scopes granted, Scope wanted);

// What whoever makes a key decides about it.
struct AccessKeyTerms {
  std::string name;
  Scopes scopes = 0;
  std::int64_t expires_at_s = 0;            // 0: never
  std::vector<std::string> address_ranges;  // networks that it may be used from; empty: anywhere
  std::uint32_t requests_per_second = 0;    // 0: no limit. A batch is one request; a second's worth may come at once
};
struct AccessKeyView : AccessKeyTerms {
  std::string id;
  std::int64_t created_at_s = 0;
  std::int64_t rotated_at_s = 0;    // 0: never
  std::int64_t last_used_at_s = 0;  // to a minute or so; 0: never
  std::int64_t old_until_s = 0;     // until when secrets count that a rotation replaced; 0: there is none

  bool expired(std::int64_t now_s) const { return expires_at_s != 0 && now_s >= expires_at_s; }
};
struct NewAccessKey {
  AccessKeyView view;
  std::string key;  // shown once
};
struct KeyRotation {
  std::int64_t overlap_s = 86'400;           // how long the old secret counts beside the new one; 0: no more from now on
  std::optional<std::int64_t> expires_at_s;  // a new end; nullopt: as it was
};

class AccessKeys {
 public:
  static constexpr std::int64_t lifetime_s_max = 3660LL * 86'400;  // ten years
  static constexpr std::size_t address_ranges_max = 64;
  static constexpr std::uint32_t requests_per_second_max = 1'000'000;
  static constexpr std::int64_t overlap_s_max = 90LL * 86'400;
  static constexpr std::size_t old_secrets_max = 4;             // of one key that count still
  static constexpr std::int64_t expiry_notice_s = 14 * 86'400;  // from when on the log tells daily of an end that comes

  enum class Refusal : std::uint8_t {
    not_found,
    last_admin,  // no other key with the scope admin counts
    bad_name,
    no_scopes,
    bad_expiry,
    bad_address_range,
    bad_rate,
    bad_overlap,
    expired,           // a rotation without a new end
    too_many_secrets,  // rotated again and again, while the old secrets count still
    store_unavailable,
  };

  // Throws StoreError where a stored key cannot be read.
  AccessKeys(engine::Store& store, engine::Committer& committer);
  ~AccessKeys();

  // Blocking calls, for worker threads and the command line.
  tl::expected<NewAccessKey, Refusal> create(AccessKeyTerms terms, const engine::Origin& origin, engine::UnixMillis now);
  tl::expected<NewAccessKey, Refusal> rotate(std::string_view id, const KeyRotation& rotation, const engine::Origin& origin,
                                             engine::UnixMillis now);
  tl::expected<std::monostate, Refusal> revoke(std::string_view id, const engine::Origin& origin,
                                               engine::UnixMillis now);  // the last admin key cannot be
  std::vector<AccessKeyView> list() const;

  // Writes down when keys were used, and tells the log of those that end soon. To be called about every second by one
  // thread; writes no more than every five minutes, or when `at_once`. Blocks while it writes.
  void look_after(engine::UnixMillis now, bool at_once);

  // What a key is worth to whoever presented it. Holds no longer than generation() stays the same and valid_at() says so;
  // the rest may be called at any time as long as the AccessKeys live.
  struct Granted {
    std::uint64_t id;
    Scopes scopes;
    std::int64_t until_s = INT64_MAX;  // when the key or this secret of it ends
    std::int64_t interval_ns = 0;      // of its rate; 0: no limit
    KeyUse* use = nullptr;             // null: nothing is counted

    bool valid_at(engine::UnixMillis now) const noexcept { return now.seconds() < until_s; }
    // Counts one request. 0: go ahead; otherwise in how many milliseconds, at least one, there is one again.
    std::int64_t spend(engine::UnixMillis now) const noexcept;
  };
  struct Denied {
    enum class Reason : std::uint8_t { unknown, expired, wrong_address };
    Reason reason = Reason::unknown;
    std::uint64_t id = 0;  // whose key it is; 0: nobody's
  };
  // Any thread, no lock, no allocation. `from`: the client's address.
  tl::expected<Granted, Denied> authenticate(std::string_view presented_key, const boost::asio::ip::address& from,
                                             engine::UnixMillis now) const noexcept;
  // The same for who presented the key of that id before.
  tl::expected<Granted, Denied> granted(std::uint64_t id, const boost::asio::ip::address& from,
                                        engine::UnixMillis now) const noexcept;
  // Changes with every create, rotate and revoke, after the change is in force.
  std::uint64_t generation() const noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace watchword::api
