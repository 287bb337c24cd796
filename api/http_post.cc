#include "api/http_post.h"

#include <netdb.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <stdexcept>
#include <system_error>

namespace watchword::api {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t status_line_bytes_max = 1024;
constexpr std::size_t answer_bytes_max = 64 * 1024;
constexpr std::int64_t drain_ms_max = 500;

// A fault on the way, as words; caught in post().
struct Broken {
  std::string reason;
};

class Deadline {
 public:
  Deadline(std::int64_t ms, int cancelled) : end_(Clock::now() + std::chrono::milliseconds(ms)), cancelled_(cancelled) {}
  // Until the socket can be read or written.
  void await(int socket, short events) const {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end_ - Clock::now()).count();
    pollfd wanted[] = {{socket, events, 0}, {cancelled_, POLLIN, 0}};
    const int ready = left <= 0 ? 0 : poll(wanted, 2, static_cast<int>(left));
    if (ready > 0 && wanted[1].revents != 0) throw Broken{"the server stops"};
    if (ready <= 0) throw Broken{"no answer in time"};
  }

  Deadline sooner(std::int64_t ms) const {
    Deadline other(ms, cancelled_);
    other.end_ = std::min(other.end_, end_);
    return other;
  }

 private:
  Clock::time_point end_;
  int cancelled_;
};

class Socket {
 public:
  explicit Socket(int number) : number_(number) {}
  ~Socket() {
    if (number_ >= 0) close(number_);
  }
  Socket(Socket&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Socket& operator=(Socket&&) = delete;
  int number() const { return number_; }

 private:
  int number_;
};

Socket connect_to(const HttpTarget& target, const Deadline& deadline) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int fault = getaddrinfo(target.host.c_str(), target.port.c_str(), &hints, &found); fault != 0) {
    throw Broken{std::string("the name does not resolve: ") + gai_strerror(fault)};
  }
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owned(found, freeaddrinfo);
  std::string reason = "no address";
  for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
    Socket socket(::socket(at->ai_family, at->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, at->ai_protocol));
    if (socket.number() < 0) continue;
    if (connect(socket.number(), at->ai_addr, at->ai_addrlen) != 0 && errno != EINPROGRESS) {
      reason = std::strerror(errno);
      continue;
    }
    deadline.await(socket.number(), POLLOUT);
    int fault = 0;
    socklen_t size = sizeof fault;
    getsockopt(socket.number(), SOL_SOCKET, SO_ERROR, &fault, &size);
    if (fault == 0) return socket;
    reason = std::strerror(fault);
  }
  throw Broken{"cannot connect: " + reason};
}

// Bytes either way, in the clear or through TLS.
class Wire {
 public:
  Wire(const Socket& socket, const Deadline& deadline) : socket_(socket.number()), deadline_(deadline) {}
  // From now on.
  void expect_no_more_than(std::int64_t ms) { deadline_ = deadline_.sooner(ms); }

  void secure(SSL_CTX* context, const std::string& host) {
    ssl_.reset(SSL_new(context));
    if (!ssl_ || SSL_set_fd(ssl_.get(), socket_) != 1) throw Broken{"TLS cannot begin"};
    X509_VERIFY_PARAM* const checks = SSL_get0_param(ssl_.get());
    const bool address = X509_VERIFY_PARAM_set1_ip_asc(checks, host.c_str()) == 1;
    if (!address && (SSL_set1_host(ssl_.get(), host.c_str()) != 1 ||
                     SSL_ctrl(ssl_.get(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                              const_cast<char*>(host.c_str())) != 1)) {
      throw Broken{"TLS cannot begin"};
    }
    while (true) {
      ERR_clear_error();
      const int result = SSL_connect(ssl_.get());
      if (result == 1) return;
      const long verified = SSL_get_verify_result(ssl_.get());
      if (!wait(result)) {
        throw Broken{verified != X509_V_OK
                         ? std::string("the certificate is not trusted: ") + X509_verify_cert_error_string(verified)
                         : "the TLS handshake failed"};
      }
    }
  }

  void write(std::string_view bytes) {
    while (!bytes.empty()) {
      if (ssl_) {
        ERR_clear_error();
        const int sent = SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size()));
        if (sent > 0) {
          bytes.remove_prefix(static_cast<std::size_t>(sent));
        } else if (!wait(sent)) {
          throw Broken{"the connection broke"};
        }
        continue;
      }
      const ssize_t sent = send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent > 0) {
        bytes.remove_prefix(static_cast<std::size_t>(sent));
      } else if (errno == EAGAIN || errno == EINTR) {
        deadline_.await(socket_, POLLOUT);
      } else {
        throw Broken{std::string("the connection broke: ") + std::strerror(errno)};
      }
    }
  }

  // Some bytes; none at the end.
  std::string read() {
    char bytes[512];
    while (true) {
      if (ssl_) {
        ERR_clear_error();
        const int got = SSL_read(ssl_.get(), bytes, sizeof bytes);
        if (got > 0) return std::string(bytes, static_cast<std::size_t>(got));
        if (!wait(got)) return {};
        continue;
      }
      const ssize_t got = recv(socket_, bytes, sizeof bytes, 0);
      if (got > 0) return std::string(bytes, static_cast<std::size_t>(got));
      if (got == 0) return {};
      if (errno != EAGAIN && errno != EINTR) throw Broken{std::string("the connection broke: ") + std::strerror(errno)};
      deadline_.await(socket_, POLLIN);
    }
  }

 private:
  // False: not a matter of waiting.
  bool wait(int result) {
    const int why = SSL_get_error(ssl_.get(), result);
    if (why == SSL_ERROR_WANT_READ) return deadline_.await(socket_, POLLIN), true;
    if (why == SSL_ERROR_WANT_WRITE) return deadline_.await(socket_, POLLOUT), true;
    return false;
  }

  struct FreeSession {
    void operator()(SSL* ssl) const { SSL_free(ssl); }
  };
  const int socket_;
  Deadline deadline_;
  std::unique_ptr<SSL, FreeSession> ssl_;
};

// The rest of the answer, so that the other side does not see its connection broken. It closes, as it was asked to.
void drain(Wire& wire) {
  for (std::size_t bytes = 0; bytes < answer_bytes_max;) {
    const std::string more = wire.read();
    if (more.empty()) return;
    bytes += more.size();
  }
}

unsigned status_of(Wire& wire) {
  std::string head;
  while (head.find("\r\n") == std::string::npos) {
    const std::string more = wire.read();
    if (more.empty() || head.size() > status_line_bytes_max) throw Broken{"no HTTP answer"};
    head += more;
  }
  unsigned status = 0;
  constexpr std::size_t at = 9;  // "HTTP/1.1 "
  if (!head.starts_with("HTTP/1.") || head.size() < at + 3 ||
      std::from_chars(head.data() + at, head.data() + at + 3, status).ptr != head.data() + at + 3) {
    throw Broken{"no HTTP answer"};
  }
  return status;
}

}  // namespace

std::optional<HttpTarget> HttpTarget::parse(std::string_view url) {
  HttpTarget target;
  if (url.starts_with("https://")) {
    target.tls = true;
  } else if (!url.starts_with("http://")) {
    return std::nullopt;
  }
  for (const char c : url) {
    if (c <= ' ' || c >= 0x7f || c == '#') return std::nullopt;
  }
  url.remove_prefix(target.tls ? 8 : 7);
  const std::size_t end = std::min(url.find_first_of("/?"), url.size());
  target.authority = url.substr(0, end);
  target.path = url.substr(end);
  if (!target.path.starts_with('/')) target.path.insert(0, "/");
  std::string_view rest = target.authority;
  if (rest.find('@') != std::string_view::npos) return std::nullopt;
  if (rest.starts_with('[')) {
    const std::size_t close = rest.find(']');
    if (close == std::string_view::npos) return std::nullopt;
    target.host = rest.substr(1, close - 1);
    rest.remove_prefix(close + 1);
  } else {
    const std::size_t colon = std::min(rest.find(':'), rest.size());
    target.host = rest.substr(0, colon);
    rest.remove_prefix(colon);
  }
  if (target.host.empty()) return std::nullopt;
  target.port = target.tls ? "443" : "80";
  if (!rest.empty()) {
    unsigned port = 0;
    const auto [stop, fault] = std::from_chars(rest.data() + 1, rest.data() + rest.size(), port);
    if (rest[0] != ':' || fault != std::errc{} || stop != rest.data() + rest.size() || port == 0 || port > 65535) {
      return std::nullopt;
    }
    target.port = std::to_string(port);
  }
  return target;
}

struct HttpPoster::Trust {
  struct FreeContext {
    void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  };
  std::unique_ptr<SSL_CTX, FreeContext> context{SSL_CTX_new(TLS_client_method())};
};

HttpPoster::HttpPoster(HttpTarget target, const std::string& ca_file)
    : target_(std::move(target)), cancelled_(eventfd(0, EFD_CLOEXEC)) {
  if (cancelled_ < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
  if (!target_.tls) return;
  trust_ = std::make_unique<Trust>();
  SSL_CTX* const context = trust_->context.get();
  if (context == nullptr || SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1) {
    throw std::runtime_error("TLS cannot be set up");
  }
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  const bool trusted = ca_file.empty() ? SSL_CTX_set_default_verify_paths(context) == 1
                                       : SSL_CTX_load_verify_locations(context, ca_file.c_str(), nullptr) == 1;
  if (!trusted)
    throw std::runtime_error("the certificates to trust cannot be read" + (ca_file.empty() ? "" : ": " + ca_file));
}

HttpPoster::~HttpPoster() {
  close(cancelled_);
}

void HttpPoster::cancel() noexcept {
  eventfd_write(cancelled_, 1);
}

tl::expected<unsigned, std::string> HttpPoster::post(const std::vector<std::pair<std::string, std::string>>& headers,
                                                     std::string_view body, std::int64_t deadline_ms) const {
  std::string request = "POST " + target_.path + " HTTP/1.1\r\nHost: " + target_.authority +
                        "\r\nUser-Agent: watchword\r\nConnection: close\r\nContent-Length: " + std::to_string(body.size()) +
                        "\r\n";
  for (const auto& [name, value] : headers) request.append(name).append(": ").append(value).append("\r\n");
  request += "\r\n";
  request += body;
  try {
    const Deadline deadline(deadline_ms, cancelled_);
    const Socket socket = connect_to(target_, deadline);
    Wire wire(socket, deadline);
    if (trust_) wire.secure(trust_->context.get(), target_.host);
    wire.write(request);
    const unsigned status = status_of(wire);
    try {
      wire.expect_no_more_than(drain_ms_max);
      drain(wire);
    } catch (const Broken&) {  // the answer is here
    }
    return status;
  } catch (const Broken& fault) {
    return tl::unexpected(fault.reason);
  }
}

}  // namespace watchword::api
