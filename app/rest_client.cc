#include "app/rest_client.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <charconv>
#include <csignal>
#include <cstdlib>
#include <memory>
#include <stdexcept>

#include <boost/json.hpp>

namespace watchword::app {
namespace {

constexpr std::size_t answer_bytes_max = 16u << 20;
constexpr int silence_s_max = 60;

struct FreeBio {
  void operator()(BIO* bio) const { BIO_free_all(bio); }
};
struct FreeContext {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
using Bio = std::unique_ptr<BIO, FreeBio>;
using Context = std::unique_ptr<SSL_CTX, FreeContext>;

std::string last_error() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  const char* const reason = code != 0 ? ERR_reason_error_string(code) : nullptr;
  return reason != nullptr ? reason : "no answer";
}

Context make_context() {
  Context context(SSL_CTX_new(TLS_client_method()));
  if (!context || SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION) != 1 ||
      SSL_CTX_set_default_verify_paths(context.get()) != 1) {
    throw std::runtime_error("OpenSSL offers no TLS");
  }
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  return context;
}

// The host without the brackets of an IPv6 address.
std::string bare(const std::string& host) {
  return host.starts_with('[') ? host.substr(1, host.size() - 2) : host;
}

void expect_host(BIO* bio, const std::string& host) {
  SSL* ssl = nullptr;
  BIO_ctrl(bio, BIO_C_GET_SSL, 0, &ssl);
  if (ssl == nullptr) throw std::runtime_error("OpenSSL offers no TLS");
  X509_VERIFY_PARAM* const wanted = SSL_get0_param(ssl);
  if (X509_VERIFY_PARAM_set1_ip_asc(wanted, bare(host).c_str()) != 1) {
    ERR_clear_error();
    SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, const_cast<char*>(host.c_str()));  // copied
    if (X509_VERIFY_PARAM_set1_host(wanted, host.c_str(), host.size()) != 1) {
      throw std::runtime_error("\"" + host + "\" is no host");
    }
  }
}

std::string exchange(BIO* bio, std::string_view request) {
  while (!request.empty()) {
    const int written = BIO_write(bio, request.data(), static_cast<int>(request.size()));
    if (written <= 0) throw std::runtime_error(last_error());
    request.remove_prefix(static_cast<std::size_t>(written));
  }
  std::string answer;
  char buffer[8192];
  for (int bytes = 0; (bytes = BIO_read(bio, buffer, sizeof buffer)) > 0;) {
    answer.append(buffer, static_cast<std::size_t>(bytes));
    if (answer.size() > answer_bytes_max) throw std::runtime_error("the answer is too long");
  }
  return answer;
}

RestAnswer parse(const std::string& text) {
  const std::size_t head = text.find("\r\n\r\n");
  RestAnswer answer;
  const char* const status = text.data() + sizeof "HTTP/1.1 " - 1;
  if (head == std::string::npos || !text.starts_with("HTTP/1.1 ") ||
      std::from_chars(status, text.data() + head, answer.status).ec != std::errc{}) {
    throw std::runtime_error(text.empty() ? "the connection was closed without an answer" : "the answer is not HTTP");
  }
  answer.body = text.substr(head + 4);
  return answer;
}

}  // namespace

RestClient::RestClient(const std::string& url) {
  std::string_view rest = url;
  const auto take = [&rest](std::string_view prefix) {
    const bool there = rest.starts_with(prefix);
    if (there) rest.remove_prefix(prefix.size());
    return there;
  };
  tls_ = take("https://");
  if (!tls_ && !take("http://")) throw std::runtime_error("--url begins with http:// or https://");
  while (rest.ends_with('/')) rest.remove_suffix(1);
  const std::size_t bracket = rest.rfind(']');
  const std::size_t colon = rest.find(':', bracket == std::string_view::npos ? 0 : bracket);
  host_ = rest.substr(0, colon);
  port_ = colon == std::string_view::npos ? (tls_ ? "443" : "80") : std::string(rest.substr(colon + 1));
  if (host_.empty() || port_.empty() || rest.find_first_of("/?#@ ") != std::string_view::npos) {
    throw std::runtime_error("--url is like http://127.0.0.1:8080, without a path");
  }
  const char* const key = std::getenv("WATCHWORD_API_KEY");
  if (key == nullptr || *key == '\0') throw std::runtime_error("put an API key into WATCHWORD_API_KEY");
  key_ = key;
  if (key_.find_first_of("\r\n") != std::string::npos) throw std::runtime_error("WATCHWORD_API_KEY holds a line break");
}

RestAnswer RestClient::ask(std::string_view method, std::string_view path, std::string_view json_body) const {
  std::signal(SIGPIPE, SIG_IGN);
  const std::string address = host_ + ":" + port_;
  std::string request;
  request.append(method).append(" ").append(path).append(" HTTP/1.1\r\nHost: ").append(address);
  request.append("\r\nConnection: close\r\nAuthorization: Bearer ").append(key_).append("\r\n");
  if (!json_body.empty()) request.append("Content-Type: application/json\r\n");
  request.append("Content-Length: ").append(std::to_string(json_body.size())).append("\r\n\r\n").append(json_body);
  try {
    const Context context = tls_ ? make_context() : nullptr;
    const Bio bio(tls_ ? BIO_new_ssl_connect(context.get()) : BIO_new(BIO_s_connect()));
    if (!bio) throw std::bad_alloc();
    BIO_ctrl(bio.get(), BIO_C_SET_CONNECT, 0, const_cast<char*>(address.c_str()));  // copied, not written
    if (tls_) expect_host(bio.get(), host_);
    if (BIO_do_connect(bio.get()) != 1) throw std::runtime_error(last_error());
    int socket_number = -1;
    const timeval silence{.tv_sec = silence_s_max, .tv_usec = 0};
    if (BIO_ctrl(bio.get(), BIO_C_GET_FD, 0, &socket_number) >= 0) {
      setsockopt(socket_number, SOL_SOCKET, SO_RCVTIMEO, &silence, sizeof silence);
      setsockopt(socket_number, SOL_SOCKET, SO_SNDTIMEO, &silence, sizeof silence);
    }
    return parse(exchange(bio.get(), request));
  } catch (const std::runtime_error& fault) {
    throw std::runtime_error("cannot ask " + address + ": " + fault.what());
  }
}

std::string explain(const RestAnswer& answer) {
  boost::system::error_code fault;
  const boost::json::value problem = boost::json::parse(answer.body, fault);
  const boost::json::value* const detail =
      !fault && problem.is_object() ? problem.as_object().if_contains("detail") : nullptr;
  const std::string status = "the server answered " + std::to_string(answer.status);
  return detail != nullptr && detail->is_string() ? status + ": " + std::string(detail->as_string()) : status;
}

}  // namespace watchword::app
