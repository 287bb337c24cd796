#include "api/tls_gate.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include <algorithm>
#include <ctime>
#include <stdexcept>

#include "api/log.h"
#include "engine/types.h"

namespace watchword::api {
namespace {

// Keys that seal session tickets live as long as the settings: who steals them can read no more than a day of TLS 1.2.
constexpr std::chrono::hours settings_age_max{24};

// Forward secrecy and authenticated encryption only. (TLS 1.3 has nothing else.)
constexpr const char* cipher_list = "ECDHE+AESGCM:ECDHE+CHACHA20";

template <auto Free>
struct Freed {
  template <class T>
  void operator()(T* held) const {
    Free(held);
  }
};

[[noreturn]] void fail(const std::filesystem::path& file, const std::string& what) {
  char reason[256] = "";
  const unsigned long code = ERR_get_error();
  if (code != 0) ERR_error_string_n(code, reason, sizeof reason);
  ERR_clear_error();
  throw std::runtime_error(file.string() + " " + what + (code != 0 ? std::string(" (") + reason + ")" : std::string()));
}

int no_passphrase(char*, int, int, void*) {
  return 0;  // or OpenSSL would ask on the terminal
}

// http/1.1 for whoever asks; who asks only for others is refused (RFC 7301 section 3.2).
int choose_protocol(SSL*, const unsigned char** chosen, unsigned char* chosen_bytes, const unsigned char* offered,
                    unsigned offered_bytes, void*) {
  static constexpr unsigned char ours[] = "\x08http/1.1";
  unsigned char* found = nullptr;
  if (SSL_select_next_proto(&found, chosen_bytes, ours, sizeof ours - 1, offered, offered_bytes) != OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  *chosen = found;
  return SSL_TLSEXT_ERR_OK;
}

std::int64_t seconds_of(const ASN1_TIME* time) {
  std::tm parts{};
  if (time == nullptr || ASN1_TIME_to_tm(time, &parts) != 1) return 0;
  return static_cast<std::int64_t>(timegm(&parts));
}

void restrict(SSL_CTX* context) {
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                   SSL_OP_PRIORITIZE_CHACHA | SSL_OP_CLEANSE_PLAINTEXT);
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);  // tickets need no memory of ours
  SSL_CTX_set_default_passwd_cb(context, no_passphrase);
  SSL_CTX_set_alpn_select_cb(context, choose_protocol, nullptr);
  if (SSL_CTX_set_cipher_list(context, cipher_list) != 1) throw std::runtime_error("OpenSSL offers no strong TLS ciphers");
}

void ask_for_client_certificates(SSL_CTX* context, const TlsOptions& options) {
  const char* const file = options.client_ca_file.c_str();
  if (SSL_CTX_load_verify_locations(context, file, nullptr) != 1) {
    fail(options.client_ca_file, "holds no certificate authority in PEM");
  }
  STACK_OF(X509_NAME)* const names = SSL_load_client_CA_file(file);
  if (names == nullptr) fail(options.client_ca_file, "holds no certificate authority in PEM");
  SSL_CTX_set_client_CA_list(context, names);  // the context owns them
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | (options.client_certificate_required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
                     nullptr);
  SSL_CTX_set_verify_depth(context, 8);
}

// From then on a client is let in only while its authority's list is here and of today (RFC 5280 section 6.3).
void look_at_revocations(SSL_CTX* context, const std::filesystem::path& file) {
  X509_STORE* const store = SSL_CTX_get_cert_store(context);
  X509_LOOKUP* const lookup = X509_STORE_add_lookup(store, X509_LOOKUP_file());
  if (lookup == nullptr || X509_load_crl_file(lookup, file.c_str(), X509_FILETYPE_PEM) < 1) {
    fail(file, "holds no certificate revocation list in PEM");
  }
  X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
}

bool same(std::string_view name, const ASN1_STRING* text) {
  return text != nullptr && std::string_view(reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
                                             static_cast<std::size_t>(ASN1_STRING_length(text))) == name;
}

// Byte for byte, so a zero byte in a certificate's name ends nothing.
bool is_named(X509* certificate, std::string_view name) {
  using Names = std::unique_ptr<GENERAL_NAMES, Freed<GENERAL_NAMES_free>>;
  const Names names(static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  bool has_alternatives = false;
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* const one = sk_GENERAL_NAME_value(names.get(), i);
    if (one->type != GEN_DNS && one->type != GEN_URI && one->type != GEN_EMAIL) continue;
    has_alternatives = true;
    if (same(name, one->d.ia5)) return true;
  }
  // Authorities vouch for these; a common name beside them is often free text.
  if (has_alternatives) return false;
  const X509_NAME* const subject = X509_get_subject_name(certificate);
  for (int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1); at >= 0;
       at = X509_NAME_get_index_by_NID(subject, NID_commonName, at)) {
    if (same(name, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)))) return true;
  }
  return false;
}

// Callers are told apart by a number; this one is the name's own, and no key's but by a chance of one in 2^64.
std::uint64_t id_of(const std::string& name) {
  const std::string text = "watchword client certificate " + name;
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest);
  std::uint64_t id = 0;
  for (int i = 0; i < 8; ++i) id = id << 8 | digest[i];
  return id | 1;  // never 0
}

}  // namespace

TlsGate::TlsGate(TlsOptions options, std::vector<ClientCertificate> clients)
    : options_(std::move(options)), clients_(std::move(clients)), tried_(look()), seen_(tried_) {
  Loaded loaded = load();
  context_ = std::move(loaded.context);
  expires_at_s_ = loaded.expires_at_s;
  loaded_at_ = std::chrono::steady_clock::now();
}

std::shared_ptr<SSL_CTX> TlsGate::current() const {
  const std::lock_guard lock(mutex_);
  return context_;
}

TlsGate::Stamps TlsGate::look() const {
  Stamps stamps;
  for (const auto& file :
       {options_.certificate_file, options_.key_file, options_.client_ca_file, options_.client_crl_file}) {
    struct stat found {};
    if (file.empty() || stat(file.c_str(), &found) != 0) {
      stamps.push_back({});
      continue;
    }
    const auto nanoseconds = [](const timespec& time) { return time.tv_sec * 1'000'000'000 + time.tv_nsec; };
    stamps.push_back({nanoseconds(found.st_mtim), nanoseconds(found.st_ctim), found.st_ino, found.st_size});
  }
  return stamps;
}

TlsGate::Loaded TlsGate::load() const {
  ERR_clear_error();
  std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  if (!context) throw std::runtime_error("OpenSSL makes no TLS context");
  restrict(context.get());
  const std::filesystem::path& key_file = options_.key_file.empty() ? options_.certificate_file : options_.key_file;
  if (SSL_CTX_use_certificate_chain_file(context.get(), options_.certificate_file.c_str()) != 1) {
    fail(options_.certificate_file, "is no certificate in PEM");
  }
  if (SSL_CTX_use_PrivateKey_file(context.get(), key_file.c_str(), SSL_FILETYPE_PEM) != 1) {
    fail(key_file, "is no private key in PEM without a passphrase that fits the certificate");
  }
  if (SSL_CTX_check_private_key(context.get()) != 1) fail(key_file, "is not the key of the certificate");
  static constexpr unsigned char session_context[] = "watchword";
  SSL_CTX_set_session_id_context(context.get(), session_context, sizeof session_context - 1);
  if (!options_.client_ca_file.empty()) ask_for_client_certificates(context.get(), options_);
  if (!options_.client_crl_file.empty()) look_at_revocations(context.get(), options_.client_crl_file);
  const std::int64_t expires = seconds_of(X509_get0_notAfter(SSL_CTX_get0_certificate(context.get())));
  return {.context = std::move(context), .expires_at_s = expires};
}

void TlsGate::look_at_files(bool at_once) {
  const Stamps stamps = look();
  const bool at_rest = stamps == seen_;
  seen_ = stamps;
  const bool old = std::chrono::steady_clock::now() - loaded_at_ > settings_age_max;
  if (!at_once && !old && (stamps == tried_ || !at_rest)) return;
  tried_ = stamps;
  loaded_at_ = std::chrono::steady_clock::now();
  const auto file = options_.certificate_file.string();
  try {
    Loaded loaded = load();
    const std::int64_t left_s = loaded.expires_at_s - engine::wall_now().seconds();
    if (left_s <= 0 && expires_at_s() > loaded.expires_at_s) throw std::runtime_error(file + " has expired");
    {
      const std::lock_guard lock(mutex_);
      context_.swap(loaded.context);
    }
    revision_.fetch_add(1, std::memory_order_release);
    expires_at_s_ = loaded.expires_at_s;
    log(Level::info, "certificate loaded", {{"file", file}, {"expires_in_s", left_s}});
  } catch (const std::exception& fault) {
    log(Level::error, "new certificate is broken; the old one stays", {{"file", file}, {"reason", fault.what()}});
  }
}

std::optional<CertifiedClient> TlsGate::client_of(const SSL* session) const {
  const std::unique_ptr<X509, Freed<X509_free>> certificate(SSL_get1_peer_certificate(session));
  if (!certificate || SSL_get_verify_result(session) != X509_V_OK) return std::nullopt;
  for (const ClientCertificate& client : clients_) {
    if (!is_named(certificate.get(), client.name)) continue;
    return CertifiedClient{.granted = {.id = id_of(client.name), .scopes = client.scopes},
                           .name = client.name,
                           .until_s = seconds_of(X509_get0_notAfter(certificate.get()))};
  }
  return std::nullopt;
}

bool TlsGate::still_good(const SSL* session) const {
  const std::shared_ptr<SSL_CTX> context = current();
  const std::unique_ptr<X509, Freed<X509_free>> certificate(SSL_get1_peer_certificate(session));
  const std::unique_ptr<X509_STORE_CTX, Freed<X509_STORE_CTX_free>> check(X509_STORE_CTX_new());
  if (!certificate || !check) return false;
  X509_STORE* const store = SSL_CTX_get_cert_store(context.get());
  if (X509_STORE_CTX_init(check.get(), store, certificate.get(), SSL_get_peer_cert_chain(session)) != 1) return false;
  X509_STORE_CTX_set_default(check.get(), "ssl_client");
  const bool good = X509_verify_cert(check.get()) == 1;
  ERR_clear_error();
  return good;
}

}  // namespace watchword::api
