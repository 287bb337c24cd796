// A connected TCP socket that never blocks, outside of any reactor: see SocketEvents for when to try again.
//
// Reads and writes answer as Asio's do: would_block, eof, or a fault, in `error`.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <boost/asio/ip/address.hpp>
#include <boost/system/error_code.hpp>

namespace watchword::api {

class TcpSocket {
 public:
  TcpSocket() = default;
  // Takes the descriptor over.
  explicit TcpSocket(int descriptor) : descriptor_(descriptor) {}
  ~TcpSocket() { close(); }
  TcpSocket(TcpSocket&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  TcpSocket& operator=(TcpSocket&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }

  bool is_open() const { return descriptor_ >= 0; }
  int descriptor() const { return descriptor_; }
  // Never blocks, sends at once. False: the socket is of no use.
  bool prepare() noexcept;

  std::size_t read(std::span<char> into, boost::system::error_code& error) noexcept;
  std::size_t write(std::string_view text, boost::system::error_code& error) noexcept;
  // At most parts_max of them, in one system call.
  static constexpr std::size_t parts_max = 64;
  std::size_t write(std::span<const std::string_view> parts, boost::system::error_code& error) noexcept;

  // No more is sent; the other side may go on. False: it is gone.
  bool end_output() noexcept;
  // What was written and not yet taken is dropped when the socket closes, and the other side told so.
  void drop_unsent() noexcept;
  void close() noexcept;

  // The other side's IP address; unspecified: it is gone.
  boost::asio::ip::address peer() const;

 private:
  int descriptor_ = -1;
};

}  // namespace watchword::api
