// Single-use links into the portal. The token is in the link alone; the store holds the document "portal-link/<SHA-256 of
// the token, hexadecimal>", one JSON object:
//   {"id": 16 hexadecimal digits, "user": string, "made_by": string, "made_at_s": integer, "expires_at_s": integer}
// It is used up by the write that erases it: whoever else comes with the token finds nothing.
//
// Any thread but an event loop's.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>

#include <tl/expected.hpp>

#include "engine/audit.h"
#include "engine/committer.h"
#include "engine/store.h"

namespace watchword::api {

inline constexpr std::int64_t link_expires_s_min = 60;
inline constexpr std::int64_t link_expires_s_max = 7 * 86'400;

class PortalLinks {
 public:
  enum class Refusal : std::uint8_t { unknown, expired, store_unavailable };
  struct Made {
    std::string token;  // shown once
    std::string id;
    std::int64_t expires_at_s = 0;
  };
  struct Used {
    std::string user;
    std::string id;
    std::string made_by;
  };

  PortalLinks(engine::Store& store, engine::Committer& committer) : store_(store), committer_(committer) {}

  tl::expected<Made, Refusal> make(const engine::UserName& user, std::int64_t expires_in_s, const engine::Origin& origin,
                                   engine::UnixMillis now);
  // Succeeds once for a token, and then the use is on disk. `address` is the client's, for the audit trail.
  tl::expected<Used, Refusal> use(std::string_view token, const engine::Origin& origin, engine::UnixMillis now);
  // Those of a person who is removed. Best effort: false where the store takes no writes.
  bool erase_of(std::string_view user);

 private:
  void sweep(engine::UnixMillis now);

  engine::Store& store_;
  engine::Committer& committer_;
  std::array<std::mutex, 64> stripes_;  // by hash: held from the look at a link to the write that erases it
  std::atomic<std::int64_t> swept_at_s_{0};
};

}  // namespace watchword::api
