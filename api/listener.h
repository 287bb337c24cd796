// Accepts for one address and deals the sockets out to the loops in turn, so that long-lived connections do not pile up on
// one of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

#include "api/event_loop.h"

namespace watchword::api {

class Listener {
 public:
  // Binds and listens; throws std::runtime_error that names the address. Lives on the first of `loops`.
  Listener(const ListenerOptions& options, Services& services, const std::vector<std::unique_ptr<EventLoop>>& loops);

  std::uint16_t port() const { return port_; }
  TlsGate* gate() { return gate_.get(); }  // null: plain HTTP
  // Before the loops' threads start; then on the first loop's thread.
  void accept();
  void close();

 private:
  void hand_over(TcpSocket socket, EventLoop& loop);
  void back_off();

  Services& services_;
  const std::vector<std::unique_ptr<EventLoop>>& loops_;
  const std::uint8_t planes_;
  const std::unique_ptr<TlsGate> gate_;
  std::uint16_t port_ = 0;
  std::size_t turn_ = 0;
  boost::asio::basic_socket_acceptor<boost::asio::ip::tcp, Executor> acceptor_;
  boost::asio::basic_waitable_timer<std::chrono::steady_clock, boost::asio::wait_traits<std::chrono::steady_clock>, Executor>
      pause_;
};

}  // namespace watchword::api
