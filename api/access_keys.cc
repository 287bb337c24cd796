#include "api/access_keys.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <deque>
#include <map>
#include <mutex>
#include <stdexcept>
#include <utility>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <boost/json.hpp>

#include "api/admin_json.h"
#include "api/base64.h"
#include "api/key_document.h"
#include "api/key_snapshot.h"
#include "api/log.h"
#include "api/network.h"
#include "engine/rcu.h"

namespace watchword::api {
namespace {

namespace json = boost::json;
namespace ip = boost::asio::ip;

constexpr std::string_view key_prefix = "ww_";
constexpr std::size_t id_characters = 16;
constexpr std::size_t secret_bytes = 32;
constexpr std::size_t secret_characters = 43;
constexpr std::size_t key_characters = key_prefix.size() + id_characters + 1 + secret_characters;
constexpr std::size_t name_characters_max = 64;
constexpr Scopes every_scope = 0x3f;
constexpr std::int64_t uses_written_every_s = 300;
constexpr std::int64_t told_every_s = 86'400;

struct FreeContext {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
struct FreeDigest {
  void operator()(EVP_MD* digest) const { EVP_MD_free(digest); }
};

// A context a thread, made at the thread's first key and used again ever after: nothing is allocated or fetched by name.
bool sha256(const EVP_MD* algorithm, std::string_view text, KeyDigest& digest) noexcept {
  thread_local const std::unique_ptr<EVP_MD_CTX, FreeContext> context(EVP_MD_CTX_new());
  return context && EVP_DigestInit_ex(context.get(), algorithm, nullptr) == 1 &&
         EVP_DigestUpdate(context.get(), text.data(), text.size()) == 1 &&
         EVP_DigestFinal_ex(context.get(), digest.data(), nullptr) == 1;
}

std::optional<AccessKeys::Refusal> fault_of_expiry(std::int64_t expires_at_s, std::int64_t now_s) {
  const bool in_time = expires_at_s > now_s && expires_at_s - now_s <= AccessKeys::lifetime_s_max;
  return in_time ? std::nullopt : std::optional(AccessKeys::Refusal::bad_expiry);
}

// Checks the terms, and writes the networks as they are read.
std::optional<AccessKeys::Refusal> settle(AccessKeyTerms& terms, std::int64_t now_s) {
  using Refusal = AccessKeys::Refusal;
  const std::optional<std::size_t> length = engine::printable_utf8_length(terms.name);
  if (!length || *length < 1 || *length > name_characters_max) return Refusal::bad_name;
  if (terms.scopes == 0 || (terms.scopes & ~every_scope) != 0) return Refusal::no_scopes;
  if (terms.expires_at_s != 0) {
    if (const auto fault = fault_of_expiry(terms.expires_at_s, now_s)) return fault;
  }
  if (terms.requests_per_second > AccessKeys::requests_per_second_max) return Refusal::bad_rate;
  if (terms.address_ranges.size() > AccessKeys::address_ranges_max) return Refusal::bad_address_range;
  for (std::string& range : terms.address_ranges) {
    const std::optional<Network> network = Network::parse(range);
    if (!network || network->has_host_bits()) return Refusal::bad_address_range;
    range = network->text();
  }
  return std::nullopt;
}

json::object detail_of(const AccessKeyView& key) {
  json::array scopes, ranges;
  for (const std::string& scope : scope_names(key.scopes)) scopes.emplace_back(scope);
  for (const std::string& range : key.address_ranges) ranges.emplace_back(range);
  json::object detail{{"id", key.id}, {"name", key.name}, {"scopes", std::move(scopes)}};
  if (key.expires_at_s != 0) detail["expires_at"] = utc_text(key.expires_at_s);
  if (!ranges.empty()) detail["address_ranges"] = std::move(ranges);
  if (key.requests_per_second != 0) detail["requests_per_second"] = key.requests_per_second;
  return detail;
}

engine::AuditEntry told(std::string_view action, const json::object& detail, const engine::Origin& origin,
                        engine::UnixMillis now) {
  return {.at = now,
          .origin = origin,
          .action = std::string(action),
          .user = {},
          .device = {},
          .detail = json::serialize(detail)};
}

}  // namespace

struct AccessKeys::State {
  State(engine::Store& store_in, engine::Committer& committer_in) : store(store_in), committer(committer_in) {}

  engine::Store& store;
  engine::Committer& committer;
  std::unique_ptr<EVP_MD, FreeDigest> digest_algorithm{EVP_MD_fetch(nullptr, "SHA256", nullptr)};
  mutable std::mutex changes;  // one change at a time, from its decision to its publication
  // Written under `changes` with release, so that a reader's acquire sees the whole snapshot; freed after the last reader.
  std::atomic<const KeySnapshot*> snapshot{nullptr};
  std::atomic<std::uint64_t> generation{1};
  // One a key that there ever was since the start, and kept to the end: whoever was granted something may still count. Under
  // `changes`; an administrator's acts are few.
  std::deque<KeyUse> uses;
  // Of look_after()'s one caller.
  std::map<std::uint64_t, std::int64_t> written_uses;
  std::int64_t uses_looked_at_s = 0;
  std::int64_t told_at_s = 0;

  // Under `changes`.
  const KeySnapshot& current() const { return *snapshot.load(std::memory_order_relaxed); }

  void publish(KeySnapshot next) {
    const KeySnapshot* const old = snapshot.exchange(new KeySnapshot(std::move(next)), std::memory_order_acq_rel);
    generation.fetch_add(1, std::memory_order_release);
    engine::wait_for_readers();
    delete old;
  }

  // A new secret for the key, which becomes its current one; returns the key to show.
  std::string renew(KeyRecord& record) const {
    const engine::SecretBytes secret = engine::SecretBytes::random(secret_bytes);
    std::string key = std::string(key_prefix) + record.view.id + "_" +
                      base64url_encode({reinterpret_cast<const char*>(secret.data()), secret.size()});
    KeySecret fresh;
    if (!sha256(digest_algorithm.get(), key, fresh.digest)) throw std::runtime_error("SHA-256 failed");
    record.secrets.insert(record.secrets.begin(), fresh);
    return key;
  }

  bool write(const KeyRecord& record, engine::AuditEntry entry) {
    engine::Change change;
    change.put_documents.emplace_back(std::string(key_document_prefix) + record.view.id, write_key_document(record));
    change.audit.push_back(std::move(entry));
    return committer.commit(change) == engine::Outcome::durable;
  }

  void write_uses();
  void tell_of_ends(std::int64_t now_s) const;
};

AccessKeys::AccessKeys(engine::Store& store, engine::Committer& committer)
    : state_(std::make_unique<State>(store, committer)) {
  if (!state_->digest_algorithm) throw std::runtime_error("OpenSSL offers no SHA-256");
  auto keys = std::make_unique<KeySnapshot>();
  for (const auto& [name, text] : store.documents(key_use_document_prefix)) {
    const auto id = parse_key_id(std::string_view(name).substr(key_use_document_prefix.size()));
    if (id) state_->written_uses[*id] = read_key_use_document(text);
  }
  for (const auto& [name, text] : store.documents(key_document_prefix)) {
    try {
      KeyRecord record = read_key_document(std::string_view(name).substr(key_document_prefix.size()), text);
      const auto used = state_->written_uses.find(record.id);
      KeyUse& use = state_->uses.emplace_back(used != state_->written_uses.end() ? used->second : 0);
      keys->push_back(key_entry_of(std::move(record), use));
    } catch (const std::exception& fault) {
      throw engine::StoreError("the API key in document " + name + " cannot be read: " + fault.what());
    }
  }
  std::sort(keys->begin(), keys->end(), [](const KeyEntry& a, const KeyEntry& b) { return a.record.id < b.record.id; });
  state_->snapshot.store(keys.release(), std::memory_order_release);
}

AccessKeys::~AccessKeys() {
  delete state_->snapshot.load(std::memory_order_acquire);
}

tl::expected<NewAccessKey, AccessKeys::Refusal> AccessKeys::create(AccessKeyTerms terms, const engine::Origin& origin,
                                                                   engine::UnixMillis now) {
  if (const auto fault = settle(terms, now.seconds())) return tl::unexpected(*fault);
  const std::lock_guard lock(state_->changes);
  KeyRecord record;
  do {
    record.id = engine::random_nonzero_u64();
  } while (find_key(state_->current(), record.id) != nullptr);
  static_cast<AccessKeyTerms&>(record.view) = std::move(terms);
  record.view.id = key_id_text(record.id);
  record.view.created_at_s = now.seconds();
  const std::string key = state_->renew(record);
  if (!state_->write(record, told("api_key.create", detail_of(record.view), origin, now))) {
    return tl::unexpected(Refusal::store_unavailable);
  }
  const AccessKeyView view = record.view;
  KeySnapshot next = state_->current();
  const auto at = std::upper_bound(next.begin(), next.end(), record.id,
                                   [](std::uint64_t id, const KeyEntry& entry) { return id < entry.record.id; });
  next.insert(at, key_entry_of(std::move(record), state_->uses.emplace_back(0)));
  state_->publish(std::move(next));
  return NewAccessKey{.view = view, .key = key};
}

tl::expected<NewAccessKey, AccessKeys::Refusal> AccessKeys::rotate(std::string_view id, const KeyRotation& rotation,
                                                                   const engine::Origin& origin, engine::UnixMillis now) {
  const std::int64_t now_s = now.seconds();
  if (rotation.overlap_s < 0 || rotation.overlap_s > overlap_s_max) return tl::unexpected(Refusal::bad_overlap);
  if (rotation.expires_at_s) {
    if (const auto fault = fault_of_expiry(*rotation.expires_at_s, now_s)) return tl::unexpected(*fault);
  }
  const std::optional<std::uint64_t> number = parse_key_id(id);
  const std::lock_guard lock(state_->changes);
  KeySnapshot next = state_->current();
  KeyEntry* const entry = number ? find_key(next, *number) : nullptr;
  if (entry == nullptr) return tl::unexpected(Refusal::not_found);
  KeyRecord& record = entry->record;
  if (rotation.expires_at_s) record.view.expires_at_s = *rotation.expires_at_s;
  if (record.view.expired(now_s)) return tl::unexpected(Refusal::expired);

  // Those that a rotation before replaced keep their own end: who lost its answer and asks again cuts nobody off.
  record.secrets.front().until_s = now_s + rotation.overlap_s;
  if (rotation.overlap_s == 0) record.secrets.clear();
  std::erase_if(record.secrets, [&](const KeySecret& secret) { return secret.until_s <= now_s; });
  if (record.secrets.size() > old_secrets_max) return tl::unexpected(Refusal::too_many_secrets);
  record.view.old_until_s = 0;
  for (const KeySecret& old : record.secrets) record.view.old_until_s = std::max(record.view.old_until_s, old.until_s);
  record.view.rotated_at_s = now_s;
  const std::string key = state_->renew(record);
  json::object detail = detail_of(record.view);
  detail["overlap_s"] = rotation.overlap_s;
  if (!state_->write(record, told("api_key.rotate", detail, origin, now))) return tl::unexpected(Refusal::store_unavailable);
  AccessKeyView view = record.view;
  view.last_used_at_s = entry->use->last_used_at_s();
  state_->publish(std::move(next));
  return NewAccessKey{.view = std::move(view), .key = key};
}

tl::expected<std::monostate, AccessKeys::Refusal> AccessKeys::revoke(std::string_view id, const engine::Origin& origin,
                                                                     engine::UnixMillis now) {
  const std::int64_t now_s = now.seconds();
  const std::optional<std::uint64_t> number = parse_key_id(id);
  if (!number) return tl::unexpected(Refusal::not_found);
  const std::lock_guard lock(state_->changes);
  const KeySnapshot& current = state_->current();
  const KeyEntry* const entry = find_key(current, *number);
  if (entry == nullptr) return tl::unexpected(Refusal::not_found);
  const auto admins =
      std::count_if(current.begin(), current.end(), [&](const KeyEntry& one) { return is_live_admin(one, now_s); });
  if (is_live_admin(*entry, now_s) && admins == 1) return tl::unexpected(Refusal::last_admin);
  const AccessKeyView& view = entry->record.view;
  engine::Change change;
  change.erase_documents = {std::string(key_document_prefix) + view.id, std::string(key_use_document_prefix) + view.id};
  change.audit.push_back(told("api_key.revoke", detail_of(view), origin, now));
  if (state_->committer.commit(change) != engine::Outcome::durable) return tl::unexpected(Refusal::store_unavailable);
  KeySnapshot next = current;
  next.erase(next.begin() + (entry - current.data()));
  state_->publish(std::move(next));
  return std::monostate{};
}

std::vector<AccessKeyView> AccessKeys::list() const {
  const std::lock_guard lock(state_->changes);
  std::vector<AccessKeyView> views;
  for (const KeyEntry& entry : state_->current()) {
    AccessKeyView& view = views.emplace_back(entry.record.view);
    view.last_used_at_s = entry.use->last_used_at_s();
    for (const KeySecret& secret : entry.record.secrets) {
      if (secret.until_s != KeySecret::always) view.old_until_s = std::max(view.old_until_s, secret.until_s);
    }
  }
  std::stable_sort(views.begin(), views.end(),
                   [](const AccessKeyView& a, const AccessKeyView& b) { return a.created_at_s < b.created_at_s; });
  return views;
}

// Under `changes`, so that no use is written of a key that is being revoked.
void AccessKeys::State::write_uses() {
  const std::lock_guard lock(changes);
  engine::Change change;
  for (const KeyEntry& entry : current()) {
    const std::int64_t used = entry.use->last_used_at_s();
    const auto written = written_uses.find(entry.record.id);
    if (used == (written != written_uses.end() ? written->second : 0)) continue;
    change.put_documents.emplace_back(std::string(key_use_document_prefix) + entry.record.view.id,
                                      write_key_use_document(used));
  }
  if (change.put_documents.empty() || committer.commit(change) != engine::Outcome::durable) return;
  written_uses.clear();
  for (const KeyEntry& entry : current()) written_uses[entry.record.id] = entry.use->last_used_at_s();
}

void AccessKeys::State::tell_of_ends(std::int64_t now_s) const {
  const std::lock_guard lock(changes);
  std::int64_t last_admin_ends = 0;  // INT64_MAX: there is one without an end
  for (const KeyEntry& entry : current()) {
    const AccessKeyView& view = entry.record.view;
    if (is_live_admin(entry, now_s)) {
      last_admin_ends = std::max(last_admin_ends, view.expires_at_s != 0 ? view.expires_at_s : INT64_MAX);
    }
    if (view.expires_at_s == 0 || view.expires_at_s - now_s > expiry_notice_s) continue;
    log(Level::warning, view.expired(now_s) ? "API key has expired" : "API key expires soon",
        {{"id", view.id}, {"name", view.name}, {"expires_at", utc_text(view.expires_at_s)}});
  }
  if (last_admin_ends == 0) {
    log(Level::error, "no API key with the scope admin is left; stop the server and make one: watchword api-key create");
  } else if (last_admin_ends - now_s <= expiry_notice_s) {
    log(Level::error, "the last API key with the scope admin expires soon; make or rotate one before",
        {{"expires_at", utc_text(last_admin_ends)}});
  }
}

void AccessKeys::look_after(engine::UnixMillis now, bool at_once) {
  const std::int64_t now_s = now.seconds();
  const auto due = [&](std::int64_t last_s, std::int64_t every_s) { return now_s - last_s >= every_s || now_s < last_s; };
  if (at_once || due(state_->uses_looked_at_s, uses_written_every_s)) {
    state_->uses_looked_at_s = now_s;
    state_->write_uses();
  }
  if (due(state_->told_at_s, told_every_s)) {
    state_->told_at_s = now_s;
    state_->tell_of_ends(now_s);
  }
}

std::int64_t AccessKeys::Granted::spend(engine::UnixMillis now) const noexcept {
  if (use == nullptr) return 0;
  use->note(now.seconds());
  if (interval_ns == 0) return 0;
  // The wall clock may be set back.
  const auto since_boot = std::chrono::steady_clock::now().time_since_epoch();
  const std::int64_t wait_ns =
      use->take(std::chrono::duration_cast<std::chrono::nanoseconds>(since_boot).count(), interval_ns);
  return (wait_ns + 999'999) / 1'000'000;
}

tl::expected<AccessKeys::Granted, AccessKeys::Denied> AccessKeys::authenticate(std::string_view presented_key,
                                                                               const ip::address& from,
                                                                               engine::UnixMillis now) const noexcept {
  if (presented_key.size() != key_characters || !presented_key.starts_with(key_prefix)) return tl::unexpected(Denied{});
  if (presented_key[key_prefix.size() + id_characters] != '_') return tl::unexpected(Denied{});
  const std::optional<std::uint64_t> id = parse_key_id(presented_key.substr(key_prefix.size(), id_characters));
  if (!id) return tl::unexpected(Denied{});
  KeyDigest digest;
  if (!sha256(state_->digest_algorithm.get(), presented_key, digest)) return tl::unexpected(Denied{});

  // An unknown id costs a comparison as well: how long a refusal takes does not tell which ids there are.
  static constexpr std::array<KeySecret, 1> of_nobody{};
  const engine::ReadScope scope;
  const KeyEntry* const entry = find_key(*state_->snapshot.load(std::memory_order_acquire), *id);
  const KeySecret* const begin = entry != nullptr ? entry->record.secrets.data() : of_nobody.data();
  const KeySecret* const end = begin + (entry != nullptr ? entry->record.secrets.size() : of_nobody.size());
  const KeySecret* equal = nullptr;
  for (const KeySecret* secret = begin; secret != end; ++secret) {
    if (CRYPTO_memcmp(digest.data(), secret->digest.data(), digest.size()) == 0) equal = secret;
  }
  if (entry == nullptr || equal == nullptr) return tl::unexpected(Denied{});
  return judge_key(*entry, equal->until_s, from, now);
}

tl::expected<AccessKeys::Granted, AccessKeys::Denied> AccessKeys::granted(std::uint64_t id, const ip::address& from,
                                                                          engine::UnixMillis now) const noexcept {
  const engine::ReadScope scope;
  const KeyEntry* const entry = find_key(*state_->snapshot.load(std::memory_order_acquire), id);
  if (entry == nullptr) return tl::unexpected(Denied{});
  return judge_key(*entry, KeySecret::always, from, now);
}

std::uint64_t AccessKeys::generation() const noexcept {
  return state_->generation.load(std::memory_order_acquire);
}

}  // namespace watchword::api
