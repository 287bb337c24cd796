#include "api/tls_session.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <new>

#include <boost/asio/error.hpp>

#include "api/log.h"
#include "engine/types.h"

namespace watchword::api {
namespace {

std::string reason_of(unsigned long code) {
  const char* const reason = code != 0 ? ERR_reason_error_string(code) : nullptr;
  return reason != nullptr ? reason : "connection closed";
}

}  // namespace

TlsSession::Record::~Record() {
  OPENSSL_cleanse(bytes_.data(), count_);
}

bool TlsSession::Record::add(std::string_view text) {
  const std::size_t taken = std::min(text.size(), bytes_.size() - count_);
  text.copy(bytes_.data() + count_, taken);
  count_ += taken;
  return count_ < bytes_.size();
}

void TlsSession::Free::operator()(SSL* session) const {
  SSL_free(session);
}

// The revision first: settings that change in between are noticed.
TlsSession::TlsSession(const TlsGate& gate, int socket)
    : gate_(gate), revision_(gate.revision()), session_(SSL_new(gate.current().get())) {
  if (!session_ || SSL_set_fd(session_.get(), socket) != 1) throw std::bad_alloc();
  SSL_set_accept_state(session_.get());
}

std::size_t TlsSession::read(std::span<char> into, boost::system::error_code& error) {
  error.clear();
  std::size_t count = 0;
  // A record a call: all that are here are taken, or the socket would not tell about the rest.
  while (count < into.size()) {
    ERR_clear_error();
    std::size_t bytes = 0;
    const int done = SSL_read_ex(session_.get(), into.data() + count, into.size() - count, &bytes);
    if (!established_) note_handshake();
    if (done == 1) {
      count += bytes;
      continue;
    }
    switch (SSL_get_error(session_.get(), done)) {
      case SSL_ERROR_WANT_READ:
      case SSL_ERROR_WANT_WRITE:
        if (count == 0) error = boost::asio::error::would_block;
        return count;
      case SSL_ERROR_ZERO_RETURN:
        ended_ = true;
        if (count == 0) error = boost::asio::error::eof;
        return count;
      default:
        if (!established_) log(Level::debug, "TLS handshake failed", {{"reason", reason_of(ERR_peek_error())}});
        broken_ = true;
        ERR_clear_error();
        if (count == 0) error = boost::asio::error::connection_reset;
        return count;
    }
  }
  return count;
}

std::size_t TlsSession::write(std::span<const std::string_view> parts, boost::system::error_code& error) {
  Record record;
  for (const std::string_view part : parts) {
    if (!record.add(part)) break;
  }
  error.clear();
  const std::string_view text = record.text();
  if (text.empty()) return 0;
  ERR_clear_error();
  std::size_t bytes = 0;
  const int done = SSL_write_ex(session_.get(), text.data(), text.size(), &bytes);
  if (done == 1) return bytes;
  switch (SSL_get_error(session_.get(), done)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
      error = boost::asio::error::would_block;
      break;
    default:
      broken_ = true;
      ERR_clear_error();
      error = boost::asio::error::connection_reset;
  }
  return 0;
}

void TlsSession::note_handshake() {
  if (SSL_is_init_finished(session_.get()) != 1) return;
  established_ = true;
  client_ = gate_.client_of(session_.get());
}

bool TlsSession::holds_input() const {
  return ended_ || broken_ || SSL_pending(session_.get()) > 0;
}

void TlsSession::end() {
  if (!established_ || broken_ || (SSL_get_shutdown(session_.get()) & SSL_SENT_SHUTDOWN) != 0) return;
  ERR_clear_error();
  if (SSL_shutdown(session_.get()) < 0) ERR_clear_error();
}

const CertifiedClient* TlsSession::client() {
  if (!client_) return nullptr;
  if (const std::uint64_t revision = gate_.revision(); revision != revision_) {
    revision_ = revision;
    if (!gate_.still_good(session_.get())) client_.reset();
  }
  return client_ && engine::wall_now().seconds() < client_->until_s ? &*client_ : nullptr;
}

}  // namespace watchword::api
