// Sign-in by the organisation's OpenID provider: authorization code with PKCE (RFC 7636), state bound to the browser, ID
// token checked (id_token.h). What the provider publishes is kept for some minutes.
//
// Threads of their own (routes.h): begin() and finish() may ask the provider, which takes up to a few time-outs.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <tl/expected.hpp>

#include "api/https_fetch.h"
#include "api/portal_options.h"
#include "api/sealed_text.h"
#include "api/sessions.h"
#include "engine/types.h"

namespace watchword::api {

class OidcClient {
 public:
  static constexpr std::int64_t pending_s = 600;

  enum class Refusal : std::uint8_t {
    unavailable,  // the provider does not answer, or not as it should
    bad_state,    // not begun here by this browser, too old, or finished already: then its cookie is gone
    denied,       // the provider says no
    bad_token,
    no_user,  // the token names nobody
  };
  struct Failure {
    Refusal refusal;
    SessionKind kind;  // as it was begun; portal where that is not known
  };

  OidcClient(const OidcOptions& options, std::string redirect_uri)
      : options_(options), redirect_uri_(std::move(redirect_uri)) {}

  struct Begun {
    std::string url;      // where the browser goes
    std::string binding;  // for a cookie: who finishes must have it
  };
  tl::expected<Begun, Refusal> begin(SessionKind kind, engine::UnixMillis now);

  struct Callback {
    std::string state, code, error, issuer;
  };
  struct Person {
    SessionKind kind;  // as it was begun
    std::string user;
    std::vector<std::string> groups;
  };
  tl::expected<Person, Failure> finish(const Callback& callback, std::string_view binding, engine::UnixMillis now);

 private:
  // What must be known again when the browser comes back. The browser keeps it, sealed: nobody fills a table of ours by
  // beginning sign-ins, and no one else's makes room for it.
  struct Pending {
    SessionKind kind = SessionKind::portal;
    std::int64_t begun_at_s = 0;
    std::string state, nonce, verifier;
  };
  static std::string write_pending(const Pending& pending);
  static std::optional<Pending> read_pending(const std::string& text);
  struct Provider {
    std::string authorization_endpoint, token_endpoint, jwks_uri;
    bool basic = true;          // how the client's secret is presented
    bool names_itself = false;  // every answer carries `iss` (RFC 9207)
    std::int64_t read_at_s = 0;
  };
  struct Keys {
    std::string jwks;
    std::int64_t read_at_s = 0;
  };

  tl::expected<Person, Refusal> go_on(const Callback& callback, const Pending& pending, engine::UnixMillis now);
  // One question; not asked while the provider was silent a moment ago.
  tl::expected<HttpsAnswer, Refusal> ask(std::string_view what, HttpsQuestion question);
  tl::expected<Provider, Refusal> provider(engine::UnixMillis now);
  tl::expected<std::string, Refusal> keys(const Provider& provider, bool fresh, engine::UnixMillis now);
  tl::expected<std::string, Refusal> redeem(const Provider& provider, const std::string& code, const std::string& verifier);
  tl::expected<Person, Refusal> read(const std::string& token, const Provider& provider, const Pending& pending,
                                     engine::UnixMillis now);

  const OidcOptions options_;
  const std::string redirect_uri_;
  const TextSealer sealer_;
  std::mutex mutex_;
  std::optional<Provider> provider_;  // under mutex_, as the rest
  std::optional<Keys> keys_;
  std::chrono::steady_clock::time_point silent_until_{};
};

}  // namespace watchword::api
