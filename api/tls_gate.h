// TLS at one listener: certificate and key from files, read again when they change, and which client certificates let whom
// in.
//
// A session keeps the settings that it began with; a new certificate holds from the next handshake on. What does not load
// leaves the old certificate in force.
//
// Thread-safe.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "api/access_keys.h"

using SSL_CTX = struct ssl_ctx_st;
using SSL = struct ssl_st;

namespace watchword::api {

// No certificate file: the listener speaks plain HTTP.
struct TlsOptions {
  std::filesystem::path certificate_file;  // PEM: the server's certificate, then those between it and its authority
  std::filesystem::path key_file;          // PEM, without a passphrase; empty: in certificate_file
  std::filesystem::path client_ca_file;    // PEM: whose client certificates are taken; empty: none is asked for
  std::filesystem::path client_crl_file;   // PEM: what these authorities have revoked, a list of each; empty: not looked at
  bool client_certificate_required = false;
  bool enabled() const { return !certificate_file.empty(); }
};

inline constexpr std::size_t client_name_bytes_max = 256;

// A verified client certificate of this name may do what a key with these scopes may.
struct ClientCertificate {
  // An alternative name: DNS name, URI or e-mail address. The subject's common name counts where the certificate has none of
  // these (RFC 9525 section 2).
  std::string name;   // client_name_bytes_max at most
  Scopes scopes = 0;  // 0: known by name alone
};

// Who a client certificate is, and until when.
struct CertifiedClient {
  AccessKeys::Granted granted{};
  std::string name;
  std::int64_t until_s = 0;  // the certificate's end
};

class TlsGate {
 public:
  // Throws std::runtime_error that names the file and what is wrong with it.
  TlsGate(TlsOptions options, std::vector<ClientCertificate> clients);

  // For SSL_new.
  std::shared_ptr<SSL_CTX> current() const;

  // Reads the files again when they changed and have come to rest (certificate and key are replaced one after the other), or
  // when `at_once`. Logs what came of it. To be called about every second.
  void look_at_files(bool at_once);

  // Of the certificate in force.
  std::int64_t expires_at_s() const { return expires_at_s_.load(std::memory_order_relaxed); }

  // Once the handshake is over: whom its client certificate stands for. nullopt: none was shown, or it is nobody's here.
  std::optional<CertifiedClient> client_of(const SSL* session) const;
  // Changes when the files were taken anew: a certificate that was good may be revoked now. A session compares, and asks
  // still_good() once for each change.
  std::uint64_t revision() const { return revision_.load(std::memory_order_acquire); }
  // Whether the session's client certificate passes by the authorities and lists that are in force now.
  bool still_good(const SSL* session) const;

 private:
  struct Stamp {
    std::int64_t modified_ns = 0;
    std::int64_t changed_ns = 0;
    std::uint64_t inode = 0;
    std::int64_t bytes = -1;  // -1: not there
    bool operator==(const Stamp&) const = default;
  };
  using Stamps = std::vector<Stamp>;
  struct Loaded {
    std::shared_ptr<SSL_CTX> context;
    std::int64_t expires_at_s = 0;
  };

  Stamps look() const;
  Loaded load() const;

  const TlsOptions options_;
  const std::vector<ClientCertificate> clients_;
  mutable std::mutex mutex_;
  std::shared_ptr<SSL_CTX> context_;  // under mutex_
  std::atomic<std::int64_t> expires_at_s_{0};
  std::atomic<std::uint64_t> revision_{0};  // counted up, with release, after context_ changed
  // Of look_at_files()'s one caller.
  Stamps tried_;
  Stamps seen_;
  std::chrono::steady_clock::time_point loaded_at_;
};

}  // namespace watchword::api
