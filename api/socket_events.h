// Readiness of many sockets, each registered once for its life (epoll, edge-triggered): waiting for one again costs no
// system call. What was told once is not told again, so the owner remembers it until a read or write finds nothing.
//
// On one thread.
#pragma once

#include <array>
#include <cstddef>
#include <span>

#include <sys/epoll.h>

namespace watchword::api {

class SocketEvents {
 public:
  // Throws std::system_error.
  SocketEvents();
  ~SocketEvents();
  SocketEvents(const SocketEvents&) = delete;
  SocketEvents& operator=(const SocketEvents&) = delete;

  // Readable while there are events to take.
  int handle() const { return epoll_; }
  // `owner` comes back with each event. The socket leaves when it is closed. False: no memory for it.
  bool add(int socket, void* owner) noexcept;
  // What became ready since the last call, at most events_max; does not wait. Good until the next call.
  static constexpr std::size_t events_max = 256;
  std::span<const epoll_event> take() noexcept;

  static bool readable(const epoll_event& event) { return (event.events & ~unsigned{EPOLLOUT}) != 0; }
  static bool writable(const epoll_event& event) { return (event.events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0; }
  // The other side sends no more, or the connection is gone: a read that takes all there is leaves that to be read.
  static bool ended(const epoll_event& event) { return (event.events & (EPOLLRDHUP | EPOLLERR | EPOLLHUP)) != 0; }

 private:
  const int epoll_;
  std::array<epoll_event, events_max> events_;
};

}  // namespace watchword::api
