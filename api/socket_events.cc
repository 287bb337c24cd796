#include "api/socket_events.h"

#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace watchword::api {

SocketEvents::SocketEvents() : epoll_(epoll_create1(EPOLL_CLOEXEC)) {
  if (epoll_ < 0) throw std::system_error(errno, std::generic_category(), "epoll_create1");
}

SocketEvents::~SocketEvents() {
  close(epoll_);
}

bool SocketEvents::add(int socket, void* owner) noexcept {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.ptr = owner;
  return epoll_ctl(epoll_, EPOLL_CTL_ADD, socket, &event) == 0;
}

std::span<const epoll_event> SocketEvents::take() noexcept {
  const int count = epoll_wait(epoll_, events_.data(), static_cast<int>(events_.size()), 0);
  return {events_.data(), count > 0 ? static_cast<std::size_t>(count) : 0};
}

}  // namespace watchword::api
