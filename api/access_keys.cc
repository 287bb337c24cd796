// A key in the store is the document "api-key/<id>", one JSON object:
//   {"name": string, "scopes": [scope name, ...], "created_at_s": integer, "sha256": 64 lower-case hexadecimal digits}
// where sha256 is over the whole key as presented.
#include "api/access_keys.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <mutex>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <boost/json.hpp>

#include "api/base64.h"
#include "engine/rcu.h"

namespace watchword::api {
namespace {

namespace json = boost::json;

constexpr std::string_view key_prefix = "ww_";
constexpr std::size_t id_characters = 16;
constexpr std::size_t secret_bytes = 32;
constexpr std::size_t secret_characters = 43;
constexpr std::size_t key_characters = key_prefix.size() + id_characters + 1 + secret_characters;
constexpr std::size_t name_characters_max = 64;
constexpr std::string_view document_prefix = "api-key/";

constexpr Scopes bit(Scope scope) {
  return static_cast<Scopes>(scope);
}
constexpr Scopes every_scope = 0x3f;

using Digest = std::array<std::uint8_t, 32>;

struct Entry {
  std::uint64_t id = 0;
  Digest digest{};
  AccessKeyView view;
};
using Snapshot = std::vector<Entry>;  // ascending by id

std::optional<std::uint64_t> parse_id(std::string_view text) {
  const auto lower_hex = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  if (text.size() != id_characters || !std::all_of(text.begin(), text.end(), lower_hex)) return std::nullopt;
  std::uint64_t id = 0;
  std::from_chars(text.data(), text.data() + text.size(), id, 16);
  return id;
}

std::string id_text(std::uint64_t id) {
  return fmt::format("{:016x}", id);
}

const Entry* find(const Snapshot& snapshot, std::uint64_t id) {
  const auto at = std::lower_bound(snapshot.begin(), snapshot.end(), id,
                                   [](const Entry& entry, std::uint64_t wanted) { return entry.id < wanted; });
  return at != snapshot.end() && at->id == id ? &*at : nullptr;
}

struct FreeContext {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
struct FreeDigest {
  void operator()(EVP_MD* digest) const { EVP_MD_free(digest); }
};

// A context a thread, made at the thread's first key and used again ever after: nothing is allocated or fetched by name.
bool sha256(const EVP_MD* algorithm, std::string_view text, Digest& digest) noexcept {
  thread_local const std::unique_ptr<EVP_MD_CTX, FreeContext> context(EVP_MD_CTX_new());
  return context && EVP_DigestInit_ex(context.get(), algorithm, nullptr) == 1 &&
         EVP_DigestUpdate(context.get(), text.data(), text.size()) == 1 &&
         EVP_DigestFinal_ex(context.get(), digest.data(), nullptr) == 1;
}

std::string write_document(const Entry& entry) {
  json::array scopes;
  for (const std::string& scope : scope_names(entry.view.scopes)) scopes.emplace_back(scope);
  return json::serialize(json::object{{"name", entry.view.name},
                                      {"scopes", std::move(scopes)},
                                      {"created_at_s", entry.view.created_at_s},
                                      {"sha256", fmt::format("{:02x}", fmt::join(entry.digest, ""))}});
}

Entry read_document(std::string_view id, std::string_view text) {
  Entry entry;
  const std::optional<std::uint64_t> number = parse_id(id);
  if (!number) throw std::runtime_error("bad id");
  entry.id = *number;
  const json::value document = json::parse(text);
  entry.view.id = id;
  entry.view.name = document.at("name").as_string();
  entry.view.created_at_s = document.at("created_at_s").to_number<std::int64_t>();
  for (const json::value& name : document.at("scopes").as_array()) {
    const std::optional<Scope> scope = parse_scope(name.as_string());
    if (!scope) throw std::runtime_error("unknown scope");
    entry.view.scopes = static_cast<Scopes>(entry.view.scopes | bit(*scope));
  }
  const json::string& hex = document.at("sha256").as_string();
  if (hex.size() != 2 * entry.digest.size()) throw std::runtime_error("bad digest");
  for (std::size_t i = 0; i < entry.digest.size(); ++i) {
    const char* const digits = hex.data() + 2 * i;
    if (std::from_chars(digits, digits + 2, entry.digest[i], 16).ptr != digits + 2) throw std::runtime_error("bad digest");
  }
  return entry;
}

}  // namespace

namespace {

engine::AuditEntry about_key(std::string_view action, const AccessKeyView& key, const engine::Origin& origin,
                             engine::UnixMillis now) {
  json::array scopes;
  for (const std::string& scope : scope_names(key.scopes)) scopes.emplace_back(scope);
  return {.at = now,
          .origin = origin,
          .action = std::string(action),
          .user = {},
          .device = {},
          .detail = json::serialize(json::object{{"id", key.id}, {"name", key.name}, {"scopes", std::move(scopes)}})};
}

}  // namespace

struct AccessKeys::State {
  State(engine::Store& store_in, engine::Committer& committer_in) : store(store_in), committer(committer_in) {}

  engine::Store& store;
  engine::Committer& committer;
  std::unique_ptr<EVP_MD, FreeDigest> digest_algorithm{EVP_MD_fetch(nullptr, "SHA256", nullptr)};
  mutable std::mutex changes;  // one change at a time, from its decision to its publication
  // Written under `changes` with release, so that a reader's acquire sees the whole snapshot; freed after the last reader.
  std::atomic<const Snapshot*> snapshot{nullptr};
  std::atomic<std::uint64_t> generation{1};

  // Under `changes`.
  const Snapshot& current() const { return *snapshot.load(std::memory_order_relaxed); }

  void publish(Snapshot next) {
    const Snapshot* const old = snapshot.exchange(new Snapshot(std::move(next)), std::memory_order_acq_rel);
    generation.fetch_add(1, std::memory_order_release);
    engine::wait_for_readers();
    delete old;
  }
};

AccessKeys::AccessKeys(engine::Store& store, engine::Committer& committer)
    : state_(std::make_unique<State>(store, committer)) {
  if (!state_->digest_algorithm) throw std::runtime_error("OpenSSL offers no SHA-256");
  auto keys = std::make_unique<Snapshot>();
  for (const auto& [name, text] : store.documents(document_prefix)) {
    try {
      keys->push_back(read_document(std::string_view(name).substr(document_prefix.size()), text));
    } catch (const std::exception& fault) {
      throw engine::StoreError("the API key in document " + name + " cannot be read: " + fault.what());
    }
  }
  std::sort(keys->begin(), keys->end(), [](const Entry& a, const Entry& b) { return a.id < b.id; });
  state_->snapshot.store(keys.release(), std::memory_order_release);
}

AccessKeys::~AccessKeys() {
  delete state_->snapshot.load(std::memory_order_acquire);
}

tl::expected<NewAccessKey, AccessKeys::Refusal> AccessKeys::create(std::string_view name, Scopes scopes,
                                                                   const engine::Origin& origin, engine::UnixMillis now) {
  const std::optional<std::size_t> length = engine::printable_utf8_length(name);
  if (!length || *length < 1 || *length > name_characters_max) return tl::unexpected(Refusal::bad_name);
  if (scopes == 0 || (scopes & ~every_scope) != 0) return tl::unexpected(Refusal::no_scopes);

  const std::lock_guard lock(state_->changes);
  Entry entry;
  do {
    entry.id = engine::random_nonzero_u64();
  } while (find(state_->current(), entry.id) != nullptr);
  entry.view = {.id = id_text(entry.id), .name = std::string(name), .scopes = scopes, .created_at_s = now.seconds()};
  const engine::SecretBytes secret = engine::SecretBytes::random(secret_bytes);
  const std::string key = std::string(key_prefix) + entry.view.id + "_" +
                          base64url_encode({reinterpret_cast<const char*>(secret.data()), secret.size()});
  if (!sha256(state_->digest_algorithm.get(), key, entry.digest)) throw std::runtime_error("SHA-256 failed");

  engine::Change change;
  change.put_documents.emplace_back(std::string(document_prefix) + entry.view.id, write_document(entry));
  change.audit.push_back(about_key("api_key.create", entry.view, origin, now));
  if (state_->committer.commit(change) != engine::Outcome::durable) return tl::unexpected(Refusal::store_unavailable);
  Snapshot next = state_->current();
  next.insert(std::upper_bound(next.begin(), next.end(), entry, [](const Entry& a, const Entry& b) { return a.id < b.id; }),
              entry);
  state_->publish(std::move(next));
  return NewAccessKey{.view = entry.view, .key = key};
}

tl::expected<std::monostate, AccessKeys::Refusal> AccessKeys::revoke(std::string_view id, const engine::Origin& origin,
                                                                     engine::UnixMillis now) {
  const std::optional<std::uint64_t> number = parse_id(id);
  if (!number) return tl::unexpected(Refusal::not_found);
  const std::lock_guard lock(state_->changes);
  const Snapshot& current = state_->current();
  const Entry* const entry = find(current, *number);
  if (entry == nullptr) return tl::unexpected(Refusal::not_found);
  const auto is_admin = [](const Entry& one) { return (one.view.scopes & bit(Scope::admin)) != 0; };
  if (is_admin(*entry) && std::count_if(current.begin(), current.end(), is_admin) == 1) {
    return tl::unexpected(Refusal::last_admin);
  }
  engine::Change change;
  change.erase_documents.push_back(std::string(document_prefix) + entry->view.id);
  change.audit.push_back(about_key("api_key.revoke", entry->view, origin, now));
  if (state_->committer.commit(change) != engine::Outcome::durable) return tl::unexpected(Refusal::store_unavailable);
  Snapshot next = current;
  next.erase(next.begin() + (entry - current.data()));
  state_->publish(std::move(next));
  return std::monostate{};
}

std::vector<AccessKeyView> AccessKeys::list() const {
  const std::lock_guard lock(state_->changes);
  std::vector<AccessKeyView> views;
  for (const Entry& entry : state_->current()) views.push_back(entry.view);
  std::stable_sort(views.begin(), views.end(),
                   [](const AccessKeyView& a, const AccessKeyView& b) { return a.created_at_s < b.created_at_s; });
  return views;
}

std::optional<AccessKeys::Granted> AccessKeys::authenticate(std::string_view presented_key) const noexcept {
  if (presented_key.size() != key_characters || !presented_key.starts_with(key_prefix)) return std::nullopt;
  if (presented_key[key_prefix.size() + id_characters] != '_') return std::nullopt;
  const std::optional<std::uint64_t> id = parse_id(presented_key.substr(key_prefix.size(), id_characters));
  if (!id) return std::nullopt;
  Digest digest;
  if (!sha256(state_->digest_algorithm.get(), presented_key, digest)) return std::nullopt;

  // An unknown id costs a comparison as well: how long a refusal takes does not tell which ids there are.
  static constexpr Digest of_nobody{};
  const engine::ReadScope scope;
  const Entry* const entry = find(*state_->snapshot.load(std::memory_order_acquire), *id);
  const Digest& expected = entry != nullptr ? entry->digest : of_nobody;
  const bool equal = CRYPTO_memcmp(digest.data(), expected.data(), digest.size()) == 0;
  if (entry == nullptr || !equal) return std::nullopt;
  return Granted{.id = entry->id, .scopes = entry->view.scopes};
}

std::optional<AccessKeys::Granted> AccessKeys::granted(std::uint64_t id) const noexcept {
  const engine::ReadScope scope;
  const Entry* const entry = find(*state_->snapshot.load(std::memory_order_acquire), id);
  if (entry == nullptr) return std::nullopt;
  return Granted{.id = entry->id, .scopes = entry->view.scopes};
}

std::uint64_t AccessKeys::generation() const noexcept {
  return state_->generation.load(std::memory_order_acquire);
}

}  // namespace watchword::api
