#include "api/tcp_socket.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include <boost/asio/error.hpp>
#include <boost/asio/ip/tcp.hpp>

namespace watchword::api {
namespace {

using Error = boost::system::error_code;

// What a system call said: a count, or why not.
std::size_t counted(ssize_t result, Error& error) noexcept {
  error.clear();
  if (result >= 0) return static_cast<std::size_t>(result);
  const bool again = errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
  error = again ? Error(boost::asio::error::would_block) : Error(errno, boost::system::system_category());
  return 0;
}

}  // namespace

bool TcpSocket::prepare() noexcept {
  const int flags = fcntl(descriptor_, F_GETFL);
  const int on = 1;
  return flags >= 0 && fcntl(descriptor_, F_SETFL, flags | O_NONBLOCK) == 0 &&
         setsockopt(descriptor_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0;
}

std::size_t TcpSocket::read(std::span<char> into, Error& error) noexcept {
  ssize_t result = 0;
  do {
    result = recv(descriptor_, into.data(), into.size(), 0);
  } while (result < 0 && errno == EINTR);
  const std::size_t bytes = counted(result, error);
  if (!error && bytes == 0) error = boost::asio::error::eof;
  return bytes;
}

std::size_t TcpSocket::write(std::string_view text, Error& error) noexcept {
  ssize_t result = 0;
  do {
    result = send(descriptor_, text.data(), text.size(), MSG_NOSIGNAL);
  } while (result < 0 && errno == EINTR);
  return counted(result, error);
}

std::size_t TcpSocket::write(std::span<const std::string_view> parts, Error& error) noexcept {
  if (parts.size() == 1) return write(parts.front(), error);
  std::array<iovec, parts_max> vectors;
  const std::size_t count = std::min(parts.size(), vectors.size());
  // sendmsg() only reads what the vectors name.
  for (std::size_t i = 0; i < count; ++i) vectors[i] = {const_cast<char*>(parts[i].data()), parts[i].size()};
  msghdr message{};
  message.msg_iov = vectors.data();
  message.msg_iovlen = count;
  ssize_t result = 0;
  do {
    result = sendmsg(descriptor_, &message, MSG_NOSIGNAL);
  } while (result < 0 && errno == EINTR);
  return counted(result, error);
}

bool TcpSocket::end_output() noexcept {
  return shutdown(descriptor_, SHUT_WR) == 0;
}

void TcpSocket::drop_unsent() noexcept {
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  setsockopt(descriptor_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

void TcpSocket::close() noexcept {
  if (descriptor_ >= 0) ::close(std::exchange(descriptor_, -1));
}

boost::asio::ip::address TcpSocket::peer() const {
  boost::asio::ip::tcp::endpoint endpoint;
  auto size = static_cast<socklen_t>(endpoint.capacity());
  if (getpeername(descriptor_, endpoint.data(), &size) != 0) return {};
  endpoint.resize(size);
  return endpoint.address();
}

}  // namespace watchword::api
