// One connection's bytes: a socket that never blocks, with or without TLS.
#pragma once

#include <netinet/in.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace watchword::load {

struct Target {
  std::string host;
  std::string port;
  bool tls = false;
  bool loopback = false;
  sockaddr_storage address{};
  socklen_t address_bytes = 0;
};

// http://HOST:PORT or https://HOST:PORT, the name looked up. Throws std::invalid_argument for another text,
// std::runtime_error for an unknown name.
Target resolve(const std::string& url);

struct TlsTrust {
  std::string ca_file;     // empty: the system's
  bool unchecked = false;  // any certificate will do
};
using TlsContext = std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)>;
TlsContext make_tls_context(const TlsTrust& trust);

class Transport {
 public:
  enum class Step { done, wants_read, wants_write, closed };

  Transport() = default;
  ~Transport() { close(); }
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;

  // Begins to connect. False: it failed at once.
  bool open(const Target& target, SSL_CTX* tls);
  // Goes on with connecting and the handshake.
  Step establish();
  // `count` bytes went through where `done`; 0 bytes are never `done`.
  Step read(char* to, std::size_t room, std::size_t& count);
  Step write(std::string_view bytes, std::size_t& count);
  void close();
  int descriptor() const { return descriptor_; }

 private:
  Step tls_step(int result);

  int descriptor_ = -1;
  SSL* tls_ = nullptr;
  bool connected_ = false;
};

}  // namespace watchword::load
