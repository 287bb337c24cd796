#include "bench/load/api_client.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <poll.h>

#include <array>
#include <stdexcept>

namespace watchword::load {
namespace {

constexpr int patience_ms = 20'000;

}  // namespace

ApiClient::ApiClient(const Target& target, SSL_CTX* tls, const std::string& key)
    : target_(&target),
      tls_(tls),
      headers_(fmt::format(" HTTP/1.1\r\nHost: {}\r\n{}", target.host,
                           key.empty() ? std::string() : fmt::format("Authorization: Bearer {}\r\n", key))) {}

void ApiClient::wait(Transport::Step step) {
  if (step == Transport::Step::closed) {
    open_ = false;
    const unsigned long fault = ERR_peek_last_error();
    throw std::runtime_error(
        fmt::format("{}:{}: the connection failed{}", target_->host, target_->port,
                    tls_ && fault != 0 ? fmt::format(" ({}); see --ca and --insecure",
                                                     ERR_reason_error_string(fault) ? ERR_reason_error_string(fault) : "TLS")
                                       : std::string()));
  }
  pollfd one{.fd = transport_.descriptor(),
             .events = static_cast<short>(step == Transport::Step::wants_write ? POLLOUT : POLLIN)};
  if (poll(&one, 1, patience_ms) == 0) {
    open_ = false;
    throw std::runtime_error(fmt::format("{}:{} does not answer", target_->host, target_->port));
  }
}

void ApiClient::connect() {
  if (!transport_.open(*target_, tls_))
    throw std::runtime_error(fmt::format("{}:{} cannot be reached", target_->host, target_->port));
  open_ = true;
  for (Transport::Step step; (step = transport_.establish()) != Transport::Step::done;) wait(step);
}

Reply ApiClient::call(std::string_view method, std::string_view path, std::string_view body) {
  if (!open_) connect();
  std::string out = fmt::format("{} {}{}", method, path, headers_);
  if (!body.empty()) out += fmt::format("Content-Type: application/json\r\nContent-Length: {}\r\n", body.size());
  out.append("\r\n").append(body);
  for (std::string_view left = out; !left.empty();) {
    std::size_t count = 0;
    const Transport::Step step = transport_.write(left, count);
    if (step == Transport::Step::done) {
      left.remove_prefix(count);
    } else {
      wait(step);
    }
  }
  std::string in;
  std::array<char, 65536> buffer;
  HttpAnswer answer;
  while (parse_answer(in, answer) == Parse::incomplete) {
    std::size_t count = 0;
    const Transport::Step step = transport_.read(buffer.data(), buffer.size(), count);
    if (step == Transport::Step::done) {
      in.append(buffer.data(), count);
    } else {
      wait(step);
    }
  }
  if (answer.status < 200)
    throw std::runtime_error(fmt::format("{}:{} does not speak HTTP/1.1", target_->host, target_->port));
  open_ = !answer.close;
  return {.status = answer.status, .body = std::string(answer.body)};
}

}  // namespace watchword::load
