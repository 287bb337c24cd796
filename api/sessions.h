// Sessions of people in the portal and of administrators in the console. In memory only: a restart ends them all. Bounded in
// number and time; kept under the hash of their id, so that what lies in memory opens nothing.
//
// Any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "api/access_keys.h"
#include "engine/types.h"

namespace watchword::api {

enum class SessionKind : std::uint8_t { portal, console };
enum class Entry : std::uint8_t { link, proxy, oidc, api_key };
std::string_view to_string(Entry entry);

struct Session {
  SessionKind kind = SessionKind::portal;
  Entry entry = Entry::link;
  std::string owner;            // portal: the user. Console: "key:<id>", or the user who came by the provider
  std::uint64_t key_id = 0;     // console, entered with an API key
  Scopes scopes = 0;            // console
  std::string name;             // console: what is shown
  std::int64_t absolute_s = 0;  // a shorter limit of its own; 0: that of all
  std::string csrf_token;
  engine::UnixMillis created, seen, expires;
  std::int64_t step_up_until_s = 0;     // a code of an existing device counts until then
  std::vector<engine::DeviceId> begun;  // registrations that this session began: it may see their pictures
};

class Sessions {
 public:
  struct Limits {
    std::chrono::seconds idle;
    std::chrono::seconds absolute;
    std::size_t sessions_max;
  };
  // Of one owner; a further one ends the oldest.
  static constexpr std::size_t per_owner_max = 16;

  explicit Sessions(Limits limits) : limits_(limits) {}

  struct Opened {
    std::string id;  // for the cookie; not kept
    Session session;
  };
  // Fills in the token and the times. nullopt: there are as many as there may be.
  std::optional<Opened> open(Session session, engine::UnixMillis now);
  // The session of that kind, if it has not ended; it counts as used.
  std::optional<Session> find(SessionKind kind, std::string_view id, engine::UnixMillis now);
  void change(SessionKind kind, std::string_view id, const std::function<void(Session&)>& change);
  void close(SessionKind kind, std::string_view id);
  // All portal sessions of a person.
  void close_user(std::string_view user);
  std::size_t size() const;

 private:
  using Table = std::unordered_map<std::string, Session>;  // by SHA-256 of the id
  Table::iterator lookup(SessionKind kind, std::string_view id);
  std::int64_t absolute_ms(const Session& session) const;
  bool ended(const Session& session, engine::UnixMillis now) const;
  void sweep(engine::UnixMillis now);
  void make_room_for(const Session& session);

  const Limits limits_;
  mutable std::mutex mutex_;
  Table table_;                                               // under mutex_
  std::unordered_multimap<std::string, std::string> owners_;  // owner to hash; under mutex_
  engine::UnixMillis swept_;                                  // under mutex_
};

}  // namespace watchword::api
