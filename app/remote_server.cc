#include "app/remote_server.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <array>
#include <csignal>
#include <stdexcept>
#include <system_error>

#include <fmt/format.h>
#include <boost/asio/buffer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/json.hpp>
#include <boost/url.hpp>

namespace watchword::app {
namespace {

namespace http = boost::beast::http;

constexpr std::size_t answer_bytes_max = 16 * 1024 * 1024;  // an import that names ten thousand rows has two

// Of what the queue of errors holds, what the system said: "connect error" helps nobody.
std::string tls_reason() {
  if (const unsigned long first = ERR_peek_error(); first != 0 && ERR_SYSTEM_ERROR(first)) {
    return std::generic_category().message(ERR_GET_REASON(first));
  }
  const unsigned long code = ERR_peek_last_error();
  const char* const reason = code != 0 ? ERR_reason_error_string(code) : nullptr;
  return reason != nullptr ? reason : "the connection failed";
}

struct Freed {
  void operator()(BIO* bio) const { BIO_free_all(bio); }
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};

// What the server says of a refusal, without trusting that it is one of ours.
[[noreturn]] void refused(unsigned status, std::string_view body) {
  boost::json::error_code fault;
  const boost::json::value document = boost::json::parse({body.data(), body.size()}, fault);
  const boost::json::object* const problem = fault ? nullptr : document.if_object();
  const boost::json::value* const detail = problem != nullptr ? problem->if_contains("detail") : nullptr;
  const bool told = detail != nullptr && detail->is_string();
  throw std::runtime_error(fmt::format("the server answered {}{}{}", status, told ? ": " : "",
                                       told ? std::string_view(detail->get_string()) : std::string_view()));
}

}  // namespace

// TCP or TLS: one interface of OpenSSL's. What Beast wants of a stream that is read without waiting for others.
struct RemoteServer::Stream {
  std::unique_ptr<SSL_CTX, Freed> context;
  std::unique_ptr<BIO, Freed> bio;
  boost::beast::flat_buffer input;

  template <class Buffers>
  std::size_t read_some(const Buffers& buffers, boost::system::error_code& error) {
    const boost::asio::mutable_buffer into = *boost::asio::buffer_sequence_begin(buffers);
    std::size_t bytes = 0;
    error = {};
    if (into.size() == 0) return 0;
    if (BIO_read_ex(bio.get(), into.data(), into.size(), &bytes) != 1) error = boost::asio::error::eof;
    return bytes;
  }
  template <class Buffers>
  std::size_t read_some(const Buffers& buffers) {
    boost::system::error_code error;
    const std::size_t bytes = read_some(buffers, error);
    if (error) throw boost::system::system_error(error);
    return bytes;
  }
  bool write(std::string_view text) {
    while (!text.empty()) {
      std::size_t bytes = 0;
      if (BIO_write_ex(bio.get(), text.data(), text.size(), &bytes) != 1) return false;
      text.remove_prefix(bytes);
    }
    return true;
  }
};

void check_server_url(const std::string& text) {
  const auto url = boost::urls::parse_uri(text);
  if (!url || (url->scheme() != "http" && url->scheme() != "https") || url->host().empty() || url->has_query() ||
      url->has_fragment() || url->has_userinfo()) {
    throw std::runtime_error("the URL must be http://HOST:PORT or https://HOST:PORT");
  }
}

RemoteServer::RemoteServer(RemoteOptions options) : options_(std::move(options)), stream_(std::make_unique<Stream>()) {
  std::signal(SIGPIPE, SIG_IGN);
  check_server_url(options_.url);
  const auto url = boost::urls::parse_uri(options_.url);
  const bool tls = url->scheme() == "https";
  host_ = url->encoded_host_and_port();
  base_path_ = url->encoded_path();
  while (base_path_.ends_with('/')) base_path_.pop_back();
  const std::string port = url->has_port() ? std::string(url->port()) : tls ? "443" : "80";
  const std::string address = std::string(url->encoded_host()) + ":" + port;

  ERR_clear_error();
  if (tls) {
    stream_->context.reset(SSL_CTX_new(TLS_client_method()));
    SSL_CTX* const context = stream_->context.get();
    const bool trusts = context != nullptr && SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 &&
                        (options_.ca_file.empty() ? SSL_CTX_set_default_verify_paths(context)
                                                  : SSL_CTX_load_verify_file(context, options_.ca_file.c_str())) == 1;
    if (!trusts) {
      throw std::runtime_error("cannot read the certificates to trust" +
                               (options_.ca_file.empty() ? "" : " in " + options_.ca_file) + ": " + tls_reason());
    }
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
    stream_->bio.reset(BIO_new_ssl_connect(context));
    SSL* session = nullptr;
    BIO_get_ssl(stream_->bio.get(), &session);
    if (session == nullptr) throw std::runtime_error("TLS cannot be set up");
    std::string name = url->host_address();
    if (url->host_type() == boost::urls::host_type::name) {
      SSL_ctrl(session, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, name.data());
      SSL_set1_host(session, name.c_str());
    } else {
      X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(session), name.c_str());
    }
  } else {
    stream_->bio.reset(BIO_new(BIO_s_connect()));
  }
  BIO_set_conn_hostname(stream_->bio.get(), address.c_str());
  if (BIO_do_connect(stream_->bio.get()) != 1) {
    throw std::runtime_error("cannot connect to " + options_.url + ": " + tls_reason() +
                             "; see whether the server runs, and what its log says it listens on");
  }
}

RemoteServer::~RemoteServer() = default;

std::string RemoteServer::head(std::string_view method, const std::string& path, std::string_view fields) const {
  return fmt::format(
      "{} {}{} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nUser-Agent: watchword/{}\r\nAccept: application/json, "
      "application/x-ndjson\r\n{}\r\n",
      method, base_path_, path, host_, options_.api_key, WATCHWORD_VERSION, fields);
}

std::string RemoteServer::read_answer() {
  for (;;) {
    http::response_parser<http::string_body> parser;
    parser.body_limit(answer_bytes_max);
    boost::system::error_code error;
    http::read(*stream_, stream_->input, parser, error);
    if (error) throw std::runtime_error("the server closed the connection before it had answered");
    const unsigned status = parser.get().result_int();
    if (status == 100) continue;
    if (status / 100 != 2) refused(status, parser.get().body());
    return std::move(parser.get().body());
  }
}

std::string RemoteServer::post(const std::string& path, std::string_view json_body) {
  const std::string fields = fmt::format("{}Content-Length: {}\r\n",
                                         json_body.empty() ? "" : "Content-Type: application/json\r\n", json_body.size());
  if (!stream_->write(head("POST", path, fields)) || !stream_->write(json_body)) {
    throw std::runtime_error("the connection failed");
  }
  return read_answer();
}

std::string RemoteServer::post_rows(const std::string& path, const Fill& fill) {
  constexpr std::string_view fields =
      "Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n";
  if (!stream_->write(head("POST", path, fields))) throw std::runtime_error("the connection failed");
  {
    http::response_parser<http::string_body> parser;
    boost::system::error_code error;
    http::read(*stream_, stream_->input, parser, error);
    if (error) throw std::runtime_error("the server closed the connection before it had answered");
    const unsigned status = parser.get().result_int();
    if (status != 100) refused(status, parser.get().body());
  }
  std::string piece;
  // Where the server stops listening, its answer says why.
  for (bool more = true, heard = true; more && heard;) {
    piece.clear();
    more = fill(piece);
    if (!piece.empty()) heard = stream_->write(fmt::format("{:x}\r\n", piece.size())) && stream_->write(piece + "\r\n");
    if (!more && heard) stream_->write("0\r\n\r\n");
  }
  return read_answer();
}

void RemoteServer::get(const std::string& path, const Take& take) {
  if (!stream_->write(head("GET", path, ""))) throw std::runtime_error("the connection failed");
  http::response_parser<http::buffer_body> parser;
  parser.body_limit(boost::none);
  boost::system::error_code error;
  http::read_header(*stream_, stream_->input, parser, error);
  if (error) throw std::runtime_error("the server closed the connection before it had answered");
  const bool good = parser.get().result_int() / 100 == 2;
  std::array<char, 64 * 1024> piece;
  std::string refusal;
  while (!parser.is_done()) {
    parser.get().body().data = piece.data();
    parser.get().body().size = piece.size();
    http::read(*stream_, stream_->input, parser, error);
    if (error == http::error::need_buffer) error = {};
    if (error) throw std::runtime_error("the connection broke before the answer's end; what came is not whole");
    const std::string_view part(piece.data(), piece.size() - parser.get().body().size);
    if (good) {
      take(part);
    } else if (refusal.size() < piece.size()) {
      refusal += part;
    }
  }
  if (!good) refused(parser.get().result_int(), refusal);
}

}  // namespace watchword::app
