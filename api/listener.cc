#include "api/listener.h"

#include <algorithm>
#include <stdexcept>

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/post.hpp>

namespace watchword::api {
namespace {

using boost::asio::ip::tcp;
using Socket = boost::asio::basic_stream_socket<tcp, Executor>;

constexpr int backlog = 4096;
// After accept() failed, mostly for want of file descriptors: long enough not to spin, short enough not to be noticed.
constexpr std::chrono::milliseconds pause_after_error{50};

tcp::endpoint endpoint_of(const ListenerOptions& options) {
  boost::system::error_code error;
  const auto address = boost::asio::ip::make_address(options.host, error);
  if (error) throw std::runtime_error(fmt::format("cannot listen on {}: it is no IP address", options.host));
  return {address, options.port};
}

// Whose certificates are known by name: callers with scopes, and the portal's proxy, which has none by being it.
std::vector<ClientCertificate> known_clients(const ServerOptions& options) {
  std::vector<ClientCertificate> clients = options.client_certificates;
  const std::string& proxy = options.portal.proxy.client_certificate;
  const bool known =
      std::any_of(clients.begin(), clients.end(), [&](const ClientCertificate& one) { return one.name == proxy; });
  if (!proxy.empty() && !known) clients.push_back({.name = proxy});
  return clients;
}

}  // namespace

Listener::Listener(const ListenerOptions& options, Services& services, const std::vector<std::unique_ptr<EventLoop>>& loops)
    : services_(services),
      loops_(loops),
      planes_(options.planes),
      gate_(options.tls.enabled() ? std::make_unique<TlsGate>(options.tls, known_clients(services.options)) : nullptr),
      acceptor_(loops.front()->io().get_executor()),
      pause_(loops.front()->io().get_executor()) {
  const tcp::endpoint endpoint = endpoint_of(options);
  try {
    acceptor_.open(endpoint.protocol());
    acceptor_.set_option(tcp::acceptor::reuse_address(true));
    acceptor_.bind(endpoint);
    acceptor_.listen(backlog);
    port_ = acceptor_.local_endpoint().port();
  } catch (const boost::system::system_error& fault) {
    throw std::runtime_error(fmt::format("cannot listen on {}:{}: {}", options.host, options.port, fault.code().message()));
  }
}

void Listener::accept() {
  EventLoop& loop = *loops_[turn_++ % loops_.size()];
  acceptor_.async_accept([this, &loop](const boost::system::error_code& error, Socket socket) {
    if (error == boost::asio::error::operation_aborted || !acceptor_.is_open()) return;
    if (error) return back_off();
    boost::system::error_code gone;
    TcpSocket accepted(socket.release(gone));
    if (!gone) hand_over(std::move(accepted), loop);
    accept();
  });
}

void Listener::hand_over(TcpSocket socket, EventLoop& loop) {
  if (services_.connections.fetch_add(1, std::memory_order_relaxed) >= services_.options.connections_max) {
    services_.connections.fetch_sub(1, std::memory_order_relaxed);
    services_.connections_refused.add();
    return;  // closed as it goes
  }
  services_.connections_accepted.add();
  boost::asio::post(loop.io(), [&loop, planes = planes_, gate = gate_.get(), socket = std::move(socket)]() mutable {
    loop.adopt(std::move(socket), planes, gate);
  });
}

void Listener::back_off() {
  pause_.expires_after(pause_after_error);
  pause_.async_wait([this](const boost::system::error_code& error) {
    if (!error && acceptor_.is_open()) accept();
  });
}

void Listener::close() {
  boost::system::error_code ignored;
  acceptor_.close(ignored);
  pause_.cancel();
}

}  // namespace watchword::api
