#include "api/connection.h"

#include <openssl/crypto.h>

#include <boost/asio/bind_allocator.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>

#include "api/connection_chunked.h"
#include "api/connection_intake.h"
#include "api/event_loop.h"
#include "api/problem.h"

namespace watchword::api {
namespace {

using Error = boost::system::error_code;

// After its last answer a connection reads on for a moment: closing with unread input would reset it, and take the answer
// away from the client.
constexpr std::size_t linger_bytes_max = 16 * 1024 * 1024;
constexpr std::int64_t linger_ms_max = 2000;

// Memory for input is kept this long after it was last needed.
constexpr std::int64_t kept_spare_ms_max = 1000;

// Answers that go out with one system call.
class Parts {
 public:
  using value_type = boost::asio::const_buffer;
  using const_iterator = const value_type*;
  const_iterator begin() const { return parts_.data(); }
  const_iterator end() const { return parts_.data() + count_; }
  bool full() const { return count_ == parts_.size(); }
  void add(std::string_view text) { parts_[count_++] = boost::asio::buffer(text.data(), text.size()); }

 private:
  std::array<value_type, 64> parts_;
  std::size_t count_ = 0;
};

void wipe_and_clear(std::string& text) {
  OPENSSL_cleanse(text.data(), text.size());
  text.clear();
}

}  // namespace

Connection::Connection(EventLoop& loop, Socket socket, std::uint8_t planes, const TlsGate* gate)
    : loop_(loop),
      socket_(std::move(socket)),
      planes_(planes),
      tls_(gate != nullptr ? std::make_unique<TlsSession>(*gate, socket_.native_handle()) : nullptr),
      since_ms_(loop.tick_ms()) {}

Connection::~Connection() {
  while (first_ != nullptr) {
    Exchange& exchange = *first_;
    first_ = exchange.next;
    loop_.recycle(exchange);
  }
}

bool Connection::may_take() const {
  if (intake_ != nullptr) return intake_->has_room();
  return !closing_ && exchange_count_ < exchanges_max && exclusive_ == nullptr;
}

void Connection::start() {
  pin();
  Error error;
  socket_.non_blocking(true, error);
  if (!error) socket_.set_option(boost::asio::ip::tcp::no_delay(true), error);
  if (error) {
    cut();
  } else {
    wait_readable();
  }
  unpin();
}

void Connection::unpin() {
  if (--pins_ > 0) return;
  if (open()) cut();
  loop_.forget(*this);
}

void Connection::wait_readable() {
  reading_ = true;
  pin();
  if (tls_ && tls_->holds_input()) {
    return boost::asio::post(loop_.io(), [this] {
      reading_ = false;
      if (open()) on_readable();
      unpin();
    });
  }
  socket_.async_wait(tls_ && tls_->read_awaits_write() ? Socket::wait_write : Socket::wait_read,
                     boost::asio::bind_allocator(HandlerAllocator<char>(read_memory_), [this](const Error& error) {
                       reading_ = false;
                       if (!error && open()) on_readable();
                       if (error) cut();
                       unpin();
                     }));
}

void Connection::wait_writable() {
  writing_ = true;
  pin();
  socket_.async_wait(tls_ && tls_->write_awaits_read() ? Socket::wait_read : Socket::wait_write,
                     boost::asio::bind_allocator(HandlerAllocator<char>(write_memory_), [this](const Error& error) {
                       writing_ = false;
                       if (!error && open()) work();
                       if (error) cut();
                       unpin();
                     }));
}

std::size_t Connection::receive(std::span<char> into, Error& error) {
  if (tls_) return tls_->read(into, error);
  return socket_.read_some(boost::asio::buffer(into.data(), into.size()), error);
}

void Connection::on_readable() {
  const std::span<char> scratch = loop_.scratch();
  Error error;
  const std::size_t bytes = receive(scratch, error);
  if (error == boost::asio::error::would_block) return wait_readable();
  if (error == boost::asio::error::eof) {
    input_ended_ = true;
    return settle();
  }
  if (error) return cut();
  if (lingering_) {
    if (bytes >= linger_bytes_left_) return cut();
    linger_bytes_left_ -= bytes;
    return wait_readable();
  }
  starved_ = false;
  const std::string_view input(scratch.data(), bytes);
  if (kept_.empty()) {
    const std::size_t taken = take(input);
    if (!closing_) kept_.assign(input.substr(taken));
  } else {
    kept_.append(input);
  }
  work();
}

void Connection::work() {
  send();
  while (open() && may_take() && !kept_.empty() && !starved_) {
    const std::size_t taken = take(kept_);
    if (closing_ || taken == kept_.size()) {
      wipe_and_clear(kept_);
    } else {
      kept_.erase(0, taken);
    }
    send();
  }
  settle();
}

void Connection::settle() {
  if (!open() || lingering_) return;
  if (input_ended_ && intake_awaits_client()) return cut();
  if (exchange_count_ == 0) {
    const bool stopping = loop_.services().stopping.load(std::memory_order_relaxed);
    if (input_ended_) return cut();
    if (closing_) return linger();
    if (stopping && !in_flight()) return cut();
  }
  if (!reading_ && !input_ended_ && may_take()) wait_readable();
}

void Connection::send() {
  while (open() && !writing_ && first_ != nullptr && first_->ready) {
    Parts parts;
    std::size_t skip = first_sent_bytes_;
    for (const Exchange* exchange = first_; exchange != nullptr && exchange->ready && !parts.full();
         exchange = exchange->next) {
      parts.add(std::string_view(exchange->out).substr(skip));
      skip = 0;
      if (exchange->more != nullptr) break;
    }
    Error error;
    std::size_t bytes = 0;
    // The end of an answer in pieces can be empty.
    if (boost::asio::buffer_size(parts) > 0) bytes = tls_ ? tls_->write(parts, error) : socket_.write_some(parts, error);
    if (error == boost::asio::error::would_block) return wait_writable();
    if (error) return cut();
    sent_ms_ = loop_.tick_ms();
    for (bytes += first_sent_bytes_; first_ != nullptr && first_->ready && bytes >= first_->out.size();) {
      Exchange& sent = *first_;
      bytes -= sent.out.size();
      if (sent.more != nullptr) {
        sent.ready = false;
        sent.out.clear();
        ask_for_piece();
        break;
      }
      first_ = sent.next;
      if (first_ == nullptr) last_ = nullptr;
      --exchange_count_;
      loop_.recycle(sent);
    }
    first_sent_bytes_ = bytes;
    if (exchange_count_ == 0 && !starved_) since_ms_ = loop_.tick_ms();
  }
}

void Connection::answered(Exchange& exchange) {
  exchange.ready = true;
  if (exclusive_ == &exchange && exchange.more == nullptr) exclusive_ = nullptr;
  if (!exchange.waits) return;
  exchange.waits = false;
  unpin();  // the caller holds another pin
}

void Connection::linger() {
  Error error;
  if (tls_) tls_->end();
  socket_.shutdown(Socket::shutdown_send, error);
  if (error) return cut();
  lingering_ = true;
  linger_bytes_left_ = linger_bytes_max;
  since_ms_ = loop_.tick_ms();
  if (!reading_) wait_readable();
}

void Connection::cut() {
  if (!open()) return;
  Error error;
  if (tls_) tls_->end();
  socket_.close(error);
  closing_ = true;
  wipe_and_clear(kept_);
  if (intake_ != nullptr) wipe_and_clear(intake_->waiting);
  intake_.reset();
  OPENSSL_cleanse(presented_.data(), presented_.size());
  presented_bytes_ = 0;
}

// With what the client has not taken: the kernel would keep that, and try on, for minutes.
void Connection::reset() {
  Error error;
  socket_.set_option(boost::asio::socket_base::linger(true, 0), error);
  cut();
}

Connection::Phase Connection::phase() const {
  if (lingering_) return Phase::lingering;
  if (tls_ && !tls_->established()) return Phase::handshake;
  if (writing_) return Phase::sending;
  if (chunked_ != nullptr || wanted_bytes_ > 0 || intake_awaits_client()) return Phase::body;
  if (head_begun_) return Phase::head;
  return exchange_count_ > 0 ? Phase::answering : Phase::idle;
}

void Connection::sweep() {
  if (!open()) return;
  pin();
  const ServerOptions& options = loop_.services().options;
  if (intake_ != nullptr) hand_over_rows();
  if (first_ != nullptr && first_->more != nullptr && !first_->ready && !first_->waits) ask_for_piece();
  const std::int64_t waited_ms = loop_.tick_ms() - since_ms_;
  const auto late = [&](std::chrono::seconds limit) { return waited_ms > std::chrono::milliseconds(limit).count(); };
  switch (phase()) {
    case Phase::handshake:
      if (late(options.header_timeout)) cut();
      break;
    case Phase::idle:
      if (waited_ms > kept_spare_ms_max) std::string().swap(kept_);
      if (late(options.idle_timeout)) cut();
      break;
    case Phase::head:
      if (!late(options.header_timeout)) break;
      refuse(problem(408, "request_timeout", "The header block did not arrive in time."));
      work();
      break;
    case Phase::body:
      if (!late(options.body_timeout)) break;
      if (intake_ != nullptr) {
        end_intake(problem(408, "request_timeout", "The body did not go on in time. The rows before that are in."));
        work();
        break;
      }
      refuse(problem(408, "request_timeout", "The body did not arrive in time."));
      work();
      break;
    case Phase::sending:
      if (loop_.tick_ms() - sent_ms_ > std::chrono::milliseconds(options.write_timeout).count()) reset();
      break;
    case Phase::lingering:
      if (waited_ms > linger_ms_max) cut();
      break;
    case Phase::answering:
      break;
  }
  unpin();
}

void Connection::drain() {
  pin();
  if (intake_awaits_client()) {
    end_intake(intake_->rows->interrupted());
    work();
  }
  if (!in_flight() && !lingering_) cut();
  unpin();
}

}  // namespace watchword::api
