#include "api/oidc_client.h"

#include <algorithm>

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <boost/json.hpp>

#include "api/admin_route.h"
#include "api/base64.h"
#include "api/digest.h"
#include "api/https_fetch.h"
#include "api/id_token.h"

namespace watchword::api {
namespace {

namespace json = boost::json;

constexpr std::int64_t provider_kept_s = 600;
constexpr std::int64_t keys_kept_s = 600;
constexpr std::int64_t fresh_keys_interval_s = 10;  // a token of an unknown key has the set read again, not more often
constexpr std::size_t groups_max = 1000;

// One of the few workers that may wait for the provider.
class Turn {
 public:
  explicit Turn(std::atomic<unsigned>& count) : count_(count) {
    granted_ = count_.fetch_add(1, std::memory_order_relaxed) < OidcClient::questions_max;
  }
  ~Turn() { count_.fetch_sub(1, std::memory_order_relaxed); }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  bool granted() const { return granted_; }

 private:
  std::atomic<unsigned>& count_;  // only counts: no other memory depends on it
  bool granted_ = false;
};

std::string text_of(const json::object& object, std::string_view name) {
  const json::value* const value = object.if_contains(json::string_view(name.data(), name.size()));
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

std::optional<json::object> object_of(const std::string& body) {
  json::error_code error;
  json::value value = json::parse(body, error);
  if (error || !value.is_object()) return std::nullopt;
  return std::move(value.get_object());
}

std::string parameters(const std::vector<std::pair<std::string_view, std::string>>& all) {
  std::string text;
  for (const auto& [name, value] : all) {
    text += fmt::format("{}{}={}", text.empty() ? "" : "&", name, percent_encode(value));
  }
  return text;
}

std::vector<std::string> groups_of(const json::object& claims, const std::string& name) {
  std::vector<std::string> groups;
  const json::value* const value = claims.if_contains(name);
  if (value == nullptr || !value->is_array()) return groups;
  for (const json::value& one : value->get_array()) {
    if (one.is_string() && groups.size() < groups_max) groups.emplace_back(one.get_string());
  }
  return groups;
}

}  // namespace

void OidcClient::sweep(engine::UnixMillis now) {
  std::erase_if(pending_, [&](const auto& entry) {
    return now.seconds() - entry.second.begun_at_s >= pending_s || now.seconds() < entry.second.begun_at_s - pending_s;
  });
  if (pending_.size() < pending_max) return;
  const auto oldest = std::min_element(pending_.begin(), pending_.end(), [](const auto& a, const auto& b) {
    return a.second.begun_at_s < b.second.begun_at_s;
  });
  pending_.erase(oldest);
}

tl::expected<OidcClient::Begun, OidcClient::Refusal> OidcClient::begin(SessionKind kind, engine::UnixMillis now) {
  const tl::expected<Provider, Refusal> known = provider(now);
  if (!known) return tl::unexpected(known.error());
  const std::string state = random_token();
  const std::string binding = random_token();
  Pending pending{.kind = kind,
                  .nonce = random_token(),
                  .verifier = random_token(),
                  .binding_hash = sha256(binding),
                  .begun_at_s = now.seconds()};
  std::string url = known->authorization_endpoint;
  url += url.find('?') == std::string::npos ? '?' : '&';
  url += parameters({{"response_type", "code"},
                     {"client_id", options_.client_id},
                     {"redirect_uri", redirect_uri_},
                     {"scope", fmt::format("{}", fmt::join(options_.scopes, " "))},
                     {"state", state},
                     {"nonce", pending.nonce},
                     {"code_challenge", base64url_encode(sha256(pending.verifier))},
                     {"code_challenge_method", "S256"}});
  const std::lock_guard lock(mutex_);
  sweep(now);
  pending_.emplace(sha256(state), std::move(pending));
  return Begun{.url = std::move(url), .binding = binding};
}

std::optional<OidcClient::Pending> OidcClient::take(const std::string& state, engine::UnixMillis now) {
  const std::lock_guard lock(mutex_);
  sweep(now);
  const auto found = pending_.find(sha256(state));
  if (found == pending_.end()) return std::nullopt;
  Pending pending = std::move(found->second);
  pending_.erase(found);
  return pending;
}

tl::expected<OidcClient::Person, OidcClient::Refusal> OidcClient::finish(const Callback& callback, std::string_view binding,
                                                                         engine::UnixMillis now) {
  const std::optional<Pending> pending = take(callback.state, now);
  if (!pending || !equal_in_constant_time(sha256(binding), pending->binding_hash)) return tl::unexpected(Refusal::bad_state);
  // RFC 9207: an answer of another provider is not for us.
  if (!callback.issuer.empty() && callback.issuer != options_.issuer) return tl::unexpected(Refusal::bad_state);
  if (!callback.error.empty() || callback.code.empty()) return tl::unexpected(Refusal::denied);
  const tl::expected<Provider, Refusal> known = provider(now);
  if (!known) return tl::unexpected(known.error());
  const tl::expected<std::string, Refusal> token = redeem(*known, callback.code, pending->verifier);
  if (!token) return tl::unexpected(token.error());
  return read(*token, *known, *pending, now);
}

tl::expected<OidcClient::Provider, OidcClient::Refusal> OidcClient::provider(engine::UnixMillis now) {
  {
    const std::lock_guard lock(mutex_);
    if (provider_ && std::abs(now.seconds() - provider_->read_at_s) < provider_kept_s) return *provider_;
  }
  const Turn turn(questions_);
  if (!turn.granted()) return tl::unexpected(Refusal::busy);
  std::string base = options_.issuer;
  while (base.ends_with('/')) base.pop_back();
  const auto answer = fetch({.url = base + "/.well-known/openid-configuration",
                             .form = {},
                             .headers = {},
                             .ca_file = options_.ca_file,
                             .timeout = options_.timeout});
  const std::optional<json::object> document = answer && answer->status == 200 ? object_of(answer->body) : std::nullopt;
  if (!document) {
    spdlog::error("the OpenID provider's configuration cannot be read: {}",
                  answer ? fmt::format("status {}", answer->status) : answer.error());
    return tl::unexpected(Refusal::unavailable);
  }
  Provider read{.authorization_endpoint = text_of(*document, "authorization_endpoint"),
                .token_endpoint = text_of(*document, "token_endpoint"),
                .jwks_uri = text_of(*document, "jwks_uri"),
                .basic = true,
                .read_at_s = now.seconds()};
  if (const json::value* const ways = document->if_contains("token_endpoint_auth_methods_supported");
      ways != nullptr && ways->is_array()) {
    const auto& all = ways->get_array();
    read.basic = std::find(all.begin(), all.end(), json::value("client_secret_basic")) != all.end();
  }
  const bool secure = read.authorization_endpoint.starts_with("https://") && read.token_endpoint.starts_with("https://") &&
                      read.jwks_uri.starts_with("https://");
  if (text_of(*document, "issuer") != options_.issuer || !secure) {
    spdlog::error("the OpenID provider's configuration names another issuer, or addresses without https");
    return tl::unexpected(Refusal::unavailable);
  }
  const std::lock_guard lock(mutex_);
  provider_ = read;
  return read;
}

tl::expected<std::string, OidcClient::Refusal> OidcClient::keys(const Provider& provider, bool fresh,
                                                                engine::UnixMillis now) {
  {
    const std::lock_guard lock(mutex_);
    const std::int64_t kept_s = fresh ? fresh_keys_interval_s : keys_kept_s;
    if (keys_ && std::abs(now.seconds() - keys_->read_at_s) < kept_s) return keys_->jwks;
  }
  const Turn turn(questions_);
  if (!turn.granted()) return tl::unexpected(Refusal::busy);
  const auto answer =
      fetch({.url = provider.jwks_uri, .form = {}, .headers = {}, .ca_file = options_.ca_file, .timeout = options_.timeout});
  if (!answer || answer->status != 200) {
    spdlog::error("the OpenID provider's keys cannot be read: {}",
                  answer ? fmt::format("status {}", answer->status) : answer.error());
    return tl::unexpected(Refusal::unavailable);
  }
  const std::lock_guard lock(mutex_);
  keys_ = Keys{.jwks = answer->body, .read_at_s = now.seconds()};
  return answer->body;
}

tl::expected<std::string, OidcClient::Refusal> OidcClient::redeem(const Provider& provider, const std::string& code,
                                                                  const std::string& verifier) {
  const Turn turn(questions_);
  if (!turn.granted()) return tl::unexpected(Refusal::busy);
  std::vector<std::pair<std::string_view, std::string>> form = {{"grant_type", "authorization_code"},
                                                                {"code", code},
                                                                {"redirect_uri", redirect_uri_},
                                                                {"client_id", options_.client_id},
                                                                {"code_verifier", verifier}};
  HttpsQuestion question{
      .url = provider.token_endpoint, .form = {}, .headers = {}, .ca_file = options_.ca_file, .timeout = options_.timeout};
  if (!options_.client_secret.empty() && provider.basic) {
    // RFC 6749 section 2.3.1: each part is encoded before they are joined.
    question.headers.emplace_back("Authorization", "Basic " + base64_encode(percent_encode(options_.client_id) + ":" +
                                                                            percent_encode(options_.client_secret)));
  } else if (!options_.client_secret.empty()) {
    form.emplace_back("client_secret", options_.client_secret);
  }
  question.form = parameters(form);
  const auto answer = fetch(question);
  if (!answer) {
    spdlog::error("the OpenID provider does not redeem codes: {}", answer.error());
    return tl::unexpected(Refusal::unavailable);
  }
  const std::optional<json::object> tokens = answer->status == 200 ? object_of(answer->body) : std::nullopt;
  const std::string token = tokens ? text_of(*tokens, "id_token") : std::string();
  if (token.empty()) {
    spdlog::warn("the OpenID provider refused a code: status {}", answer->status);
    return tl::unexpected(answer->status >= 500 ? Refusal::unavailable : Refusal::denied);
  }
  return token;
}

tl::expected<OidcClient::Person, OidcClient::Refusal> OidcClient::read(const std::string& token, const Provider& provider,
                                                                       const Pending& pending, engine::UnixMillis now) {
  const IdTokenExpectation expected{.issuer = options_.issuer,
                                    .client_id = options_.client_id,
                                    .nonce = pending.nonce,
                                    .clock_skew_s = options_.clock_skew_s};
  tl::expected<json::object, IdTokenFault> claims = tl::unexpected(IdTokenFault::unknown_key);
  for (const bool fresh : {false, true}) {
    const tl::expected<std::string, Refusal> jwks = keys(provider, fresh, now);
    if (!jwks) return tl::unexpected(jwks.error());
    claims = check_id_token(token, *jwks, expected, now.seconds());
    // The provider may have changed its keys since.
    if (claims || claims.error() != IdTokenFault::unknown_key) break;
  }
  if (!claims) {
    spdlog::warn("an ID token was refused: {}", to_string(claims.error()));
    return tl::unexpected(Refusal::bad_token);
  }
  const std::string user = text_of(*claims, options_.user_claim);
  if (!engine::valid_user(user)) return tl::unexpected(Refusal::no_user);
  return Person{.kind = pending.kind, .user = user, .groups = groups_of(*claims, options_.groups_claim)};
}

}  // namespace watchword::api
