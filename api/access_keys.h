// API keys: who may call, and for what. A key is `ww_<id>_<secret>`: id 16 lower-case hexadecimal digits, secret 43
// characters of base64url for 32 random bytes. The store holds SHA-256 of the whole key; comparison is constant-time; a
// revoked key is refused from the next request on.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <tl/expected.hpp>

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

struct AccessKeyView {
  std::string id;
  std::string name;
  Scopes scopes = 0;
  std::int64_t created_at_s = 0;
};
struct NewAccessKey {
  AccessKeyView view;
  std::string key;  // shown once
};

class AccessKeys {
 public:
  enum class Refusal : std::uint8_t { not_found, last_admin, bad_name, no_scopes, store_unavailable };

  AccessKeys(engine::Store& store, engine::Committer& committer);
  ~AccessKeys();

  // Blocking calls, for worker threads and the command line.
  tl::expected<NewAccessKey, Refusal> create(std::string_view name, Scopes scopes, const engine::Origin& origin,
                                             engine::UnixMillis now);
  tl::expected<std::monostate, Refusal> revoke(std::string_view id, const engine::Origin& origin,
                                               engine::UnixMillis now);  // the last admin key cannot be
  std::vector<AccessKeyView> list() const;

  // Any thread, no lock, no allocation. The caller holds what it got no longer than generation() stays the same.
  struct Granted {
    std::uint64_t id;
    Scopes scopes;
  };
  std::optional<Granted> authenticate(std::string_view presented_key) const noexcept;
  // What the key of that id allows now; nullopt once it is revoked.
  std::optional<Granted> granted(std::uint64_t id) const noexcept;
  // Changes with every create and revoke, after the change is in force.
  std::uint64_t generation() const noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace watchword::api
