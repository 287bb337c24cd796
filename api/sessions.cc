#include "api/sessions.h"

#include <algorithm>

#include "api/digest.h"

namespace watchword::api {
namespace {

constexpr std::int64_t sweep_interval_ms = 60'000;

std::string owner_key(const Session& session) {
  return (session.kind == SessionKind::portal ? "portal:" : "console:") + session.owner;
}

void forget_owner(std::unordered_multimap<std::string, std::string>& owners, const Session& session,
                  const std::string& hash) {
  const auto [begin, end] = owners.equal_range(owner_key(session));
  const auto one = std::find_if(begin, end, [&](const auto& entry) { return entry.second == hash; });
  if (one != end) owners.erase(one);
}

std::int64_t ms(std::chrono::seconds duration) {
  return std::chrono::milliseconds(duration).count();
}

}  // namespace

std::string_view to_string(Entry entry) {
  switch (entry) {
    case Entry::link:
      return "link";
    case Entry::proxy:
      return "proxy";
    case Entry::oidc:
      return "oidc";
    case Entry::api_key:
      return "api_key";
  }
  return "link";
}

std::int64_t Sessions::absolute_ms(const Session& session) const {
  const std::int64_t all_ms = ms(limits_.absolute);
  return session.absolute_s > 0 ? std::min(all_ms, session.absolute_s * 1000) : all_ms;
}

bool Sessions::ended(const Session& session, engine::UnixMillis now) const {
  // A clock that was set back ends sessions too: how long ago they were seen is not known any more.
  return now.value >= session.expires.value || now.value < session.created.value - sweep_interval_ms;
}

void Sessions::sweep(engine::UnixMillis now) {
  swept_ = now;
  for (auto at = table_.begin(); at != table_.end();) {
    if (!ended(at->second, now)) {
      ++at;
      continue;
    }
    forget_owner(owners_, at->second, at->first);
    at = table_.erase(at);
  }
}

void Sessions::make_room_for(const Session& session) {
  const std::string key = owner_key(session);
  while (owners_.count(key) >= per_owner_max) {
    const auto [begin, end] = owners_.equal_range(key);
    const auto oldest = std::min_element(
        begin, end, [&](const auto& a, const auto& b) { return table_.at(a.second).created < table_.at(b.second).created; });
    table_.erase(oldest->second);
    owners_.erase(oldest);
  }
}

std::optional<Sessions::Opened> Sessions::open(Session session, engine::UnixMillis now) {
  Opened opened{.id = random_token(), .session = std::move(session)};
  opened.session.csrf_token = random_token();
  opened.session.created = opened.session.seen = now;
  opened.session.expires = {now.value + std::min(ms(limits_.idle), absolute_ms(opened.session))};
  const std::string hash = sha256(opened.id);
  const std::lock_guard lock(mutex_);
  if (now.value - swept_.value >= sweep_interval_ms || table_.size() >= limits_.sessions_max) sweep(now);
  make_room_for(opened.session);
  if (table_.size() >= limits_.sessions_max) return std::nullopt;
  owners_.emplace(owner_key(opened.session), hash);
  table_.emplace(hash, opened.session);
  return opened;
}

Sessions::Table::iterator Sessions::lookup(SessionKind kind, std::string_view id) {
  const auto found = table_.find(sha256(id));
  return found != table_.end() && found->second.kind == kind ? found : table_.end();
}

std::optional<Session> Sessions::find(SessionKind kind, std::string_view id, engine::UnixMillis now) {
  const std::lock_guard lock(mutex_);
  const auto found = lookup(kind, id);
  if (found == table_.end()) return std::nullopt;
  Session& session = found->second;
  if (ended(session, now)) {
    forget_owner(owners_, session, found->first);
    table_.erase(found);
    return std::nullopt;
  }
  session.seen = now;
  session.expires = {std::min(now.value + ms(limits_.idle), session.created.value + absolute_ms(session))};
  return session;
}

void Sessions::change(SessionKind kind, std::string_view id, const std::function<void(Session&)>& change) {
  const std::lock_guard lock(mutex_);
  const auto found = lookup(kind, id);
  if (found != table_.end()) change(found->second);
}

void Sessions::close(SessionKind kind, std::string_view id) {
  const std::lock_guard lock(mutex_);
  const auto found = lookup(kind, id);
  if (found == table_.end()) return;
  forget_owner(owners_, found->second, found->first);
  table_.erase(found);
}

void Sessions::close_user(std::string_view user) {
  const std::string key = "portal:" + std::string(user);
  const std::lock_guard lock(mutex_);
  const auto [begin, end] = owners_.equal_range(key);
  for (auto at = begin; at != end; ++at) table_.erase(at->second);
  owners_.erase(begin, end);
}

std::size_t Sessions::size() const {
  const std::lock_guard lock(mutex_);
  return table_.size();
}

}  // namespace watchword::api
