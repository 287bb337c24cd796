#include "api/connection.h"

#include <openssl/crypto.h>

#include <algorithm>

#include <boost/asio/error.hpp>

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

}  // namespace

Connection::Connection(EventLoop& loop, TcpSocket socket, std::uint8_t planes, const TlsGate* gate)
    : loop_(loop),
      socket_(std::move(socket)),
      planes_(planes),
      tls_(gate != nullptr ? std::make_unique<TlsSession>(*gate, socket_.descriptor()) : nullptr),
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
  if (closing_ || exclusive_ != nullptr) return false;
  if (exchange_count_ < exchanges_max) return true;
  return familiar_verifies_ && !writing_ && loop_.has_few_exchanges() &&
         exchange_count_ < std::min<std::size_t>(verifications_max_, loop_.verify_plane().share_of_round());
}

bool Connection::waits_for_own_answers() const {
  return intake_ == nullptr && exchange_count_ > 0 && !may_take();
}

void Connection::start() {
  pin();
  if (socket_.prepare() && loop_.watch(socket_.descriptor(), *this)) {
    wait_readable();
  } else {
    cut();
  }
  unpin();
}

void Connection::unpin() {
  if (--pins_ > 0) return;
  if (open()) cut();
  loop_.forget(*this);
}

void Connection::note(bool readable, bool writable, bool ended) {
  // TLS may have to write in order to read, and the other way round.
  input_ready_ |= readable || tls_;
  output_ready_ |= writable || tls_;
  peer_ended_ |= ended;
  if ((reading_ && input_ready_) || (writing_ && output_ready_)) loop_.revisit(*this);
}

void Connection::resume() {
  if (reading_ && (input_ready_ || !open())) {
    reading_ = false;
    if (open()) on_readable();
    unpin();
  }
  if (writing_ && (output_ready_ || !open())) {
    writing_ = false;
    if (open()) work();
    unpin();
  }
}

void Connection::wait_readable() {
  reading_ = true;
  pin();
  if (tls_ && tls_->holds_input()) input_ready_ = true;
  if (input_ready_) loop_.revisit(*this);
}

void Connection::wait_writable() {
  output_ready_ = false;
  writing_ = true;
  pin();
}

std::size_t Connection::receive(std::span<char> into, Error& error) {
  if (tls_) return tls_->read(into, error);
  return socket_.read(into, error);
}

// Who verifies may have sent much while a round took long, and is refused quickly what is too much. Others have their share
// of a round, whatever they send.
std::size_t Connection::read_bytes_max() const {
  constexpr std::size_t usual = 64 * 1024, of_all = 16 * 1024 * 1024;
  if (!familiar_verifies_) return usual;
  return std::clamp(of_all / loop_.connection_count(), usual, EventLoop::read_bytes_max);
}

void Connection::on_readable() {
  // What is kept of a small request goes in front of what comes now: all of it then stands in one piece.
  const std::size_t front = kept_.size() <= EventLoop::front_bytes_max ? kept_.size() : 0;
  const std::span<char> scratch = loop_.scratch().subspan(front, read_bytes_max());
  Error error;
  LoopMetrics* const metrics = loop_.metrics();
  const bool from_parsing = metrics != nullptr && metrics->take_parsed();
  const std::size_t bytes = receive(scratch, error);
  // Less than there was room for: there is no more now, unless it is the end.
  if (bytes < scratch.size()) input_ready_ = peer_ended_ && bytes > 0;
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
  if (metrics != nullptr && !from_parsing) metrics->turn();
  if (front == kept_.size()) {
    const std::string_view input(scratch.data() - front, front + bytes);
    kept_.view().copy(scratch.data() - front, front);
    const std::size_t taken = take(input);
    kept_.clear();
    if (!closing_) kept_.append(input.substr(taken));
  } else {
    kept_.append(std::string_view(scratch.data(), bytes));
  }
  work();
}

void Connection::work() {
  send();
  while (open() && may_take() && !kept_.empty() && !starved_) {
    const std::size_t taken = take(kept_.view());
    if (closing_) {
      kept_.clear();
    } else {
      kept_.take(taken);
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
  if (waits_for_own_answers()) since_ms_ = loop_.tick_ms();
  if (!reading_ && !input_ended_ && may_take()) wait_readable();
}

// How many bytes it could write of the answers that are ready.
std::size_t Connection::write_ready(Error& error) {
  const std::string_view first = first_->answer().substr(first_sent_bytes_);
  const auto after = [](const Exchange& exchange) { return exchange.more != nullptr ? nullptr : exchange.next; };
  const Exchange* also = after(*first_);
  if (also == nullptr || !also->ready) return write({&first, 1}, error);
  std::array<std::string_view, TcpSocket::parts_max> parts{first};
  std::size_t count = 1;
  for (; also != nullptr && also->ready && count < parts.size(); also = after(*also)) parts[count++] = also->answer();
  return write({parts.data(), count}, error);
}

std::size_t Connection::write(std::span<const std::string_view> parts, Error& error) {
  // The end of an answer in pieces can be empty.
  if (std::all_of(parts.begin(), parts.end(), [](std::string_view part) { return part.empty(); })) return 0;
  return tls_ ? tls_->write(parts, error) : socket_.write(parts, error);
}

void Connection::send() {
  while (open() && !writing_ && first_ != nullptr && first_->ready) {
    Error error;
    std::size_t bytes = write_ready(error);
    if (error == boost::asio::error::would_block) return wait_writable();
    if (error) return cut();
    sent_ms_ = loop_.tick_ms();
    LoopMetrics* const metrics = loop_.metrics();
    const metrics::Ticks sent_at = metrics != nullptr ? metrics->turn() : 0;
    for (bytes += first_sent_bytes_; first_ != nullptr && first_->ready && bytes >= first_->answer().size();) {
      Exchange& sent = *first_;
      bytes -= sent.answer().size();
      if (sent.more != nullptr) {
        sent.ready = false;
        sent.out.clear();
        ask_for_piece();
        break;
      }
      first_ = sent.next;
      if (first_ == nullptr) last_ = nullptr;
      --exchange_count_;
      if (familiar_verifies_ && verifications_max_ < verifications_max) ++verifications_max_;
      if (metrics != nullptr) metrics->sent(sent, sent_at, loop_.services().http);
      loop_.recycle(sent);
    }
    first_sent_bytes_ = bytes;
    if (exchange_count_ == 0 && !starved_) since_ms_ = loop_.tick_ms();
  }
}

void Connection::answered(Exchange& exchange) {
  exchange.ready = true;
  if (const LoopMetrics* const metrics = loop_.metrics()) exchange.decided = metrics->lap();
  if (exclusive_ == &exchange && exchange.more == nullptr) exclusive_ = nullptr;
  if (!exchange.waits) return;
  exchange.waits = false;
  unpin();  // the caller holds another pin
}

void Connection::linger() {
  if (tls_) tls_->end();
  if (!socket_.end_output()) return cut();
  lingering_ = true;
  linger_bytes_left_ = linger_bytes_max;
  since_ms_ = loop_.tick_ms();
  if (!reading_) wait_readable();
}

void Connection::cut() {
  if (!open()) return;
  if (tls_) tls_->end();
  socket_.close();
  closing_ = true;
  if (reading_ || writing_) loop_.revisit(*this);
  kept_.clear();
  familiar_granted_ = familiar_verifies_ = false;
  familiar_.forget();
  if (intake_ != nullptr) OPENSSL_cleanse(intake_->waiting.data(), intake_->waiting.size());
  intake_.reset();
  OPENSSL_cleanse(presented_.data(), presented_.size());
  presented_bytes_ = 0;
}

// With what the client has not taken: the kernel would keep that, and try on, for minutes.
void Connection::reset() {
  socket_.drop_unsent();
  cut();
}

Connection::Phase Connection::phase() const {
  if (lingering_) return Phase::lingering;
  if (tls_ && !tls_->established()) return Phase::handshake;
  if (writing_) return Phase::sending;
  if (waits_for_own_answers()) return Phase::answering;  // whatever the client has begun: it is not read
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
      if (waited_ms > kept_spare_ms_max) kept_.release();
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
