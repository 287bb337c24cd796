#include "api/https_fetch.h"

#include <openssl/ssl.h>

#include <exception>
#include <optional>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>
#include <boost/url/parse.hpp>

namespace watchword::api {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
namespace ssl = asio::ssl;

constexpr std::uint64_t answer_bytes_max = 256 * 1024;  // of keys, documents and tokens; real ones have a few KiB

struct Place {
  std::string host, port, target;
  std::string authority;    // as the Host header says it
  bool is_address = false;  // a literal one: no name to tell the server (RFC 6066 section 3)
};

tl::expected<Place, std::string> place_of(const std::string& text) {
  const auto url = boost::urls::parse_absolute_uri(text);
  if (!url || url->scheme() != "https" || url->host().empty() || url->has_userinfo()) {
    return tl::unexpected("\"" + text + "\" is no https:// address");
  }
  Place place{.host = std::string(url->host_address()),
              .port = url->has_port() ? std::string(url->port()) : "443",
              .target = std::string(url->encoded_target())};
  if (place.target.empty() || place.target.front() == '?') place.target.insert(0, "/");
  place.authority = std::string(url->encoded_host_and_port());
  boost::system::error_code no_address;
  asio::ip::make_address(place.host, no_address);
  place.is_address = !no_address;
  return place;
}

// What the macro SSL_set_tlsext_host_name does, which casts in a way that our warnings refuse.
void name_server(SSL* connection, std::string name) {
  if (SSL_ctrl(connection, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, name.data()) != 1) {
    throw std::runtime_error("the server's name cannot be set");
  }
}

asio::awaitable<HttpsAnswer> ask(asio::any_io_executor executor, const HttpsQuestion& question, const Place& place,
                                 ssl::context& context) {
  asio::ip::tcp::resolver resolver(executor);
  beast::ssl_stream<beast::tcp_stream> stream(executor, context);
  stream.set_verify_mode(ssl::verify_peer);
  stream.set_verify_callback(ssl::host_name_verification(place.host));
  if (!place.is_address) name_server(stream.native_handle(), place.host);

  const auto addresses = co_await resolver.async_resolve(place.host, place.port, asio::use_awaitable);
  beast::get_lowest_layer(stream).expires_after(question.timeout);
  co_await beast::get_lowest_layer(stream).async_connect(addresses, asio::use_awaitable);
  co_await stream.async_handshake(ssl::stream_base::client, asio::use_awaitable);

  http::request<http::string_body> request(question.form.empty() ? http::verb::get : http::verb::post, place.target, 11);
  request.set(http::field::host, place.authority);
  request.set(http::field::user_agent, "watchword");
  request.set(http::field::accept, "application/json");
  request.set(http::field::connection, "close");
  for (const auto& [name, value] : question.headers) request.set(name, value);
  if (!question.form.empty()) {
    request.set(http::field::content_type, "application/x-www-form-urlencoded");
    request.body() = question.form;
    request.prepare_payload();
  }
  co_await http::async_write(stream, request, asio::use_awaitable);

  beast::flat_buffer buffer;
  http::response_parser<http::string_body> parser;
  parser.body_limit(answer_bytes_max);
  co_await http::async_read(stream, buffer, parser, asio::use_awaitable);
  co_return HttpsAnswer{.status = parser.get().result_int(), .body = std::move(parser.get().body())};
}

std::string what(const std::exception_ptr& fault) {
  try {
    std::rethrow_exception(fault);
  } catch (const std::exception& known) {
    return known.what();
  } catch (...) {
    return "unknown fault";
  }
}

}  // namespace

tl::expected<HttpsAnswer, HttpsFault> fetch(const HttpsQuestion& question) {
  const tl::expected<Place, std::string> place = place_of(question.url);
  if (!place) return tl::unexpected(HttpsFault{place.error()});
  ssl::context context(ssl::context::tls_client);
  SSL_CTX_set_min_proto_version(context.native_handle(), TLS1_2_VERSION);
  boost::system::error_code error;
  if (question.ca_file.empty()) {
    context.set_default_verify_paths(error);
  } else {
    context.load_verify_file(question.ca_file, error);
  }
  if (error) return tl::unexpected(HttpsFault{"certificate authorities cannot be read: " + error.message()});

  tl::expected<HttpsAnswer, HttpsFault> answer = tl::unexpected(HttpsFault{"no answer in time", true});
  asio::io_context loop(1);
  asio::co_spawn(loop, ask(loop.get_executor(), question, *place, context),
                 [&answer](const std::exception_ptr& fault, HttpsAnswer given) {
                   if (fault) {
                     answer = tl::unexpected(HttpsFault{what(fault)});
                   } else {
                     answer = std::move(given);
                   }
                 });
  loop.run_for(question.timeout);  // from the name's look-up to the last byte
  return answer;
}

}  // namespace watchword::api
