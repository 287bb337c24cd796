// One connection's TLS over its own non-blocking socket. Reads and writes as a socket does, with the same answers:
// would_block, eof, or a fault. The handshake goes on inside the reads.
//
// On the connection's thread only.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include <boost/system/error_code.hpp>

#include "api/tls_gate.h"

namespace watchword::api {

class TlsSession {
 public:
  // Throws std::bad_alloc.
  TlsSession(const TlsGate& gate, int socket);

  // As much as there is, up to the span's size.
  std::size_t read(std::span<char> into, boost::system::error_code& error);
  // The beginning of what stands in the parts; what a call that would block was given must come again, first.
  std::size_t write(std::span<const std::string_view> parts, boost::system::error_code& error);

  // Bytes are here that the socket will not tell about.
  bool holds_input() const;
  bool established() const { return established_; }
  // Tells the client that nothing more comes. Best effort.
  void end();

  // Whom the client's certificate stands for, as long as it is valid: neither ended nor revoked since.
  const CertifiedClient* client();

 private:
  // One TLS record's worth: many small answers go out as one.
  class Record {
   public:
    Record() = default;
    ~Record();
    Record(const Record&) = delete;
    Record& operator=(const Record&) = delete;
    bool add(std::string_view text);  // false: full
    std::string_view text() const { return {bytes_.data(), count_}; }

   private:
    std::array<char, 16 * 1024> bytes_;
    std::size_t count_ = 0;
  };
  struct Free {
    void operator()(SSL* session) const;
  };

  void note_handshake();

  const TlsGate& gate_;
  std::uint64_t revision_;  // of the gate, when the client's certificate was looked at last
  std::unique_ptr<SSL, Free> session_;
  std::optional<CertifiedClient> client_;
  bool established_ = false;
  bool broken_ = false;
  bool ended_ = false;  // the client sends no more
};

}  // namespace watchword::api
