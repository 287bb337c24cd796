#include "api/oidc_client.h"

#include <algorithm>
#include <cstdlib>
#include <sstream>

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
// After a question without an answer nobody else waits for one: what is queued is refused at once, so that a queue in front
// of a provider that hangs does not take hours.
constexpr std::chrono::seconds silence_respected{2};

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

// A claim by its name, or by a path such as "realm_access.roles" where no claim has that name.
const json::value* claim_at(const json::object& claims, std::string_view name) {
  if (const json::value* const value = claims.if_contains(json::string_view(name.data(), name.size()))) return value;
  const std::size_t dot = name.find('.');
  if (dot == std::string_view::npos) return nullptr;
  const json::value* const inner = claims.if_contains(json::string_view(name.data(), dot));
  return inner != nullptr && inner->is_object() ? claim_at(inner->get_object(), name.substr(dot + 1)) : nullptr;
}

std::vector<std::string> groups_of(const json::object& claims, const std::string& name) {
  std::vector<std::string> groups;
  const json::value* const value = claim_at(claims, name);
  if (value != nullptr && value->is_string()) groups.emplace_back(value->get_string());
  if (value == nullptr || !value->is_array()) return groups;
  for (const json::value& one : value->get_array()) {
    if (one.is_string() && groups.size() < groups_max) groups.emplace_back(one.get_string());
  }
  return groups;
}

}  // namespace

// "p 1795528800 STATE NONCE VERIFIER": none of the parts has a space.
std::string OidcClient::write_pending(const Pending& pending) {
  return fmt::format("{} {} {} {} {}", pending.kind == SessionKind::console ? 'c' : 'p', pending.begun_at_s, pending.state,
                     pending.nonce, pending.verifier);
}

std::optional<OidcClient::Pending> OidcClient::read_pending(const std::string& text) {
  std::istringstream in(text);
  char kind = 0;
  Pending pending;
  if (!(in >> kind >> pending.begun_at_s >> pending.state >> pending.nonce >> pending.verifier)) return std::nullopt;
  pending.kind = kind == 'c' ? SessionKind::console : SessionKind::portal;
  return pending;
}

tl::expected<OidcClient::Begun, OidcClient::Refusal> OidcClient::begin(SessionKind kind, engine::UnixMillis now) {
  const tl::expected<Provider, Refusal> known = provider(now);
  if (!known) return tl::unexpected(known.error());
  const Pending pending{.kind = kind,
                        .begun_at_s = now.seconds(),
                        .state = random_token(),
                        .nonce = random_token(),
                        .verifier = random_token()};
  std::string url = known->authorization_endpoint;
  url += url.find('?') == std::string::npos ? '?' : '&';
  url += parameters({{"response_type", "code"},
                     {"client_id", options_.client_id},
                     {"redirect_uri", redirect_uri_},
                     {"scope", fmt::format("{}", fmt::join(options_.scopes, " "))},
                     {"state", pending.state},
                     {"nonce", pending.nonce},
                     {"code_challenge", base64url_encode(sha256(pending.verifier))},
                     {"code_challenge_method", "S256"}});
  return Begun{.url = std::move(url), .binding = sealer_.seal(write_pending(pending))};
}

tl::expected<OidcClient::Person, OidcClient::Failure> OidcClient::finish(const Callback& callback, std::string_view binding,
                                                                         engine::UnixMillis now) {
  const std::optional<std::string> opened = sealer_.open(binding);
  const std::optional<Pending> pending = opened ? read_pending(*opened) : std::nullopt;
  const bool in_time = pending && std::abs(now.seconds() - pending->begun_at_s) < pending_s;
  if (!in_time || !equal_in_constant_time(callback.state, pending->state)) {
    return tl::unexpected(Failure{.refusal = Refusal::bad_state, .kind = SessionKind::portal});
  }
  return go_on(callback, *pending, now).map_error([&](Refusal refusal) {
    return Failure{.refusal = refusal, .kind = pending->kind};
  });
}

tl::expected<OidcClient::Person, OidcClient::Refusal> OidcClient::go_on(const Callback& callback, const Pending& pending,
                                                                        engine::UnixMillis now) {
  const tl::expected<Provider, Refusal> known = provider(now);
  if (!known) return tl::unexpected(known.error());
  // RFC 9207: an answer of another provider is not for us, nor is one without a name from a provider that gives its own.
  const bool nameless = callback.issuer.empty() && !known->names_itself;
  if (!nameless && callback.issuer != options_.issuer) return tl::unexpected(Refusal::bad_state);
  if (!callback.error.empty() || callback.code.empty()) return tl::unexpected(Refusal::denied);
  const tl::expected<std::string, Refusal> token = redeem(*known, callback.code, pending.verifier);
  if (!token) return tl::unexpected(token.error());
  return read(*token, *known, pending, now);
}

tl::expected<HttpsAnswer, OidcClient::Refusal> OidcClient::ask(std::string_view what, HttpsQuestion question) {
  question.ca_file = options_.ca_file;
  question.timeout = options_.timeout;
  {
    const std::lock_guard lock(mutex_);
    if (std::chrono::steady_clock::now() < silent_until_) return tl::unexpected(Refusal::unavailable);
  }
  tl::expected<HttpsAnswer, HttpsFault> answer = fetch(question);
  if (answer) return std::move(*answer);
  spdlog::error("the OpenID provider's {} cannot be had: {}", what, answer.error().what);
  if (answer.error().timed_out) {
    const std::lock_guard lock(mutex_);
    silent_until_ = std::chrono::steady_clock::now() + silence_respected;
  }
  return tl::unexpected(Refusal::unavailable);
}

tl::expected<OidcClient::Provider, OidcClient::Refusal> OidcClient::provider(engine::UnixMillis now) {
  {
    const std::lock_guard lock(mutex_);
    if (provider_ && std::abs(now.seconds() - provider_->read_at_s) < provider_kept_s) return *provider_;
  }
  std::string base = options_.issuer;
  while (base.ends_with('/')) base.pop_back();
  const tl::expected<HttpsAnswer, Refusal> answer =
      ask("configuration", {.url = base + "/.well-known/openid-configuration"});
  if (!answer) return tl::unexpected(answer.error());
  const std::optional<json::object> document = answer->status == 200 ? object_of(answer->body) : std::nullopt;
  if (!document) {
    spdlog::error("the OpenID provider's configuration cannot be read: status {}", answer->status);
    return tl::unexpected(Refusal::unavailable);
  }
  Provider read{.authorization_endpoint = text_of(*document, "authorization_endpoint"),
                .token_endpoint = text_of(*document, "token_endpoint"),
                .jwks_uri = text_of(*document, "jwks_uri"),
                .basic = true,
                .names_itself = false,
                .read_at_s = now.seconds()};
  if (const json::value* const named = document->if_contains("authorization_response_iss_parameter_supported")) {
    read.names_itself = named->is_bool() && named->get_bool();
  }
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
  const tl::expected<HttpsAnswer, Refusal> answer = ask("keys", {.url = provider.jwks_uri});
  if (!answer) return tl::unexpected(answer.error());
  if (answer->status != 200) {
    spdlog::error("the OpenID provider's keys cannot be read: status {}", answer->status);
    return tl::unexpected(Refusal::unavailable);
  }
  const std::lock_guard lock(mutex_);
  keys_ = Keys{.jwks = answer->body, .read_at_s = now.seconds()};
  return answer->body;
}

tl::expected<std::string, OidcClient::Refusal> OidcClient::redeem(const Provider& provider, const std::string& code,
                                                                  const std::string& verifier) {
  std::vector<std::pair<std::string_view, std::string>> form = {{"grant_type", "authorization_code"},
                                                                {"code", code},
                                                                {"redirect_uri", redirect_uri_},
                                                                {"client_id", options_.client_id},
                                                                {"code_verifier", verifier}};
  HttpsQuestion question{.url = provider.token_endpoint};
  if (!options_.client_secret.empty() && provider.basic) {
    // RFC 6749 section 2.3.1: each part is encoded before they are joined.
    question.headers.emplace_back("Authorization", "Basic " + base64_encode(percent_encode(options_.client_id) + ":" +
                                                                            percent_encode(options_.client_secret)));
  } else if (!options_.client_secret.empty()) {
    form.emplace_back("client_secret", options_.client_secret);
  }
  question.form = parameters(form);
  const tl::expected<HttpsAnswer, Refusal> answer = ask("tokens", std::move(question));
  if (!answer) return tl::unexpected(answer.error());
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
  // Whoever may type any address into a profile must not become its owner.
  const json::value* const verified = claims->if_contains("email_verified");
  if (options_.user_claim == "email" && (verified == nullptr || *verified != json::value(true))) {
    spdlog::warn("an ID token was refused: its email is not said to be verified");
    return tl::unexpected(Refusal::no_user);
  }
  if (!engine::valid_user(user)) return tl::unexpected(Refusal::no_user);
  return Person{.kind = pending.kind, .user = user, .groups = groups_of(*claims, options_.groups_claim)};
}

}  // namespace watchword::api
