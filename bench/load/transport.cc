#include "bench/load/transport.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace watchword::load {
namespace {

bool is_loopback(const sockaddr* address) {
  if (address->sa_family == AF_INET) {
    sockaddr_in in{};
    std::memcpy(&in, address, sizeof in);
    return (ntohl(in.sin_addr.s_addr) >> 24) == 127;
  }
  sockaddr_in6 in6{};
  std::memcpy(&in6, address, sizeof in6);
  return IN6_IS_ADDR_LOOPBACK(&in6.sin6_addr);
}

}  // namespace

Target resolve(const std::string& url) {
  Target target;
  std::string_view rest = url;
  if (rest.starts_with("https://")) {
    target.tls = true;
    rest.remove_prefix(8);
  } else if (rest.starts_with("http://")) {
    rest.remove_prefix(7);
  } else {
    throw std::invalid_argument(fmt::format("\"{}\" must begin with http:// or https://", url));
  }
  if (rest.ends_with('/')) rest.remove_suffix(1);
  if (rest.find('/') != std::string_view::npos) throw std::invalid_argument("the address must not hold a path");
  const std::size_t bracket = rest.rfind(']');
  const std::size_t colon = rest.rfind(':');
  const bool has_port = colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket);
  target.port = has_port ? std::string(rest.substr(colon + 1)) : target.tls ? "443" : "80";
  target.host = std::string(rest.substr(0, has_port ? colon : rest.size()));
  if (target.host.starts_with('[') && target.host.ends_with(']'))
    target.host = target.host.substr(1, target.host.size() - 2);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int fault = getaddrinfo(target.host.c_str(), target.port.c_str(), &hints, &found); fault != 0) {
    throw std::runtime_error(fmt::format("\"{}\": {}", target.host, gai_strerror(fault)));
  }
  std::memcpy(&target.address, found->ai_addr, found->ai_addrlen);
  target.address_bytes = found->ai_addrlen;
  target.loopback = is_loopback(found->ai_addr);
  freeaddrinfo(found);
  return target;
}

TlsContext make_tls_context(const TlsTrust& trust) {
  TlsContext context(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
  if (!context) throw std::runtime_error("OpenSSL cannot make a TLS context");
  SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  if (!trust.unchecked) {
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
    const int loaded = trust.ca_file.empty() ? SSL_CTX_set_default_verify_paths(context.get())
                                             : SSL_CTX_load_verify_file(context.get(), trust.ca_file.c_str());
    if (loaded != 1) throw std::runtime_error(fmt::format("{} holds no certificates that can be read", trust.ca_file));
  }
  return context;
}

bool Transport::open(const Target& target, SSL_CTX* tls) {
  close();
  descriptor_ = socket(target.address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (descriptor_ < 0) return false;
  const int on = 1;
  setsockopt(descriptor_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  sockaddr_storage address = target.address;
  void* const where = &address;
  if (connect(descriptor_, static_cast<const sockaddr*>(where), target.address_bytes) != 0 && errno != EINPROGRESS) {
    close();
    return false;
  }
  if (tls) {
    tls_ = SSL_new(tls);
    SSL_set_fd(tls_, descriptor_);
    SSL_set_connect_state(tls_);
    in6_addr literal{};
    if (inet_pton(AF_INET, target.host.c_str(), &literal) == 1 || inet_pton(AF_INET6, target.host.c_str(), &literal) == 1) {
      X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(tls_), target.host.c_str());
    } else {
      std::string name = target.host;
      // What OpenSSL's macro SSL_set_tlsext_host_name does, without its cast.
      SSL_ctrl(tls_, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, name.data());
      SSL_set1_host(tls_, target.host.c_str());
    }
  }
  return true;
}

Transport::Step Transport::establish() {
  if (!connected_) {
    int fault = 0;
    socklen_t bytes = sizeof fault;
    if (getsockopt(descriptor_, SOL_SOCKET, SO_ERROR, &fault, &bytes) != 0 || fault != 0) return Step::closed;
    sockaddr_storage peer{};
    socklen_t peer_bytes = sizeof peer;
    void* const where = &peer;
    if (getpeername(descriptor_, static_cast<sockaddr*>(where), &peer_bytes) != 0) {
      return errno == ENOTCONN ? Step::wants_write : Step::closed;
    }
    connected_ = true;
  }
  if (!tls_) return Step::done;
  ERR_clear_error();
  return tls_step(SSL_do_handshake(tls_));
}

Transport::Step Transport::tls_step(int result) {
  if (result > 0) return Step::done;
  switch (SSL_get_error(tls_, result)) {
    case SSL_ERROR_WANT_READ:
      return Step::wants_read;
    case SSL_ERROR_WANT_WRITE:
      return Step::wants_write;
    default:
      return Step::closed;
  }
}

Transport::Step Transport::read(char* to, std::size_t room, std::size_t& count) {
  if (tls_) {
    ERR_clear_error();
    return tls_step(SSL_read_ex(tls_, to, room, &count));
  }
  const ssize_t got = recv(descriptor_, to, room, 0);
  if (got > 0) {
    count = static_cast<std::size_t>(got);
    return Step::done;
  }
  return got < 0 && (errno == EAGAIN || errno == EINTR) ? Step::wants_read : Step::closed;
}

Transport::Step Transport::write(std::string_view bytes, std::size_t& count) {
  if (tls_) {
    ERR_clear_error();
    return tls_step(SSL_write_ex(tls_, bytes.data(), bytes.size(), &count));
  }
  const ssize_t sent = send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  if (sent >= 0) {
    count = static_cast<std::size_t>(sent);
    return Step::done;
  }
  return errno == EAGAIN || errno == EINTR ? Step::wants_write : Step::closed;
}

void Transport::close() {
  SSL_free(tls_);
  tls_ = nullptr;
  if (descriptor_ >= 0) ::close(descriptor_);
  descriptor_ = -1;
  connected_ = false;
}

}  // namespace watchword::load
