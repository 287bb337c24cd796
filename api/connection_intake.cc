// Connection's imports, and answers in pieces: what is longer than memory should hold.
#include <openssl/crypto.h>

#include "api/connection_intake.h"

#include <limits>

#include "api/event_loop.h"
#include "api/problem.h"

namespace watchword::api {

// False: refused, or to be answered like any other request.
bool Connection::begin_intake(const RequestHead& head, bool small_and_here) {
  if (small_and_here || route_of(head.target, planes_) != Route::managed) return false;
  if (!AdminPlane::takes_rows(head.method, head.target)) return false;
  const engine::UnixMillis now = engine::wall_now();
  const auto granted = authenticate(head, now);
  if (!granted || granted->spend(now) > 0) return false;
  auto rows = loop_.services().admin.begin_rows({.method = head.method,
                                                 .target = std::string(head.target),
                                                 .content_type = std::string(head.content_type),
                                                 .if_match = {},
                                                 .body = {},
                                                 .caller = *granted,
                                                 .origin = origin_of(caller_name(granted->id, head), head),
                                                 .browser = {}},
                                                now);
  if (!rows) {
    refuse(rows.error());
    return false;
  }
  if (head.expects_continue) interim_continue();
  Exchange& exchange = begin_exchange(form_of(head));
  exchange.caller = *granted;
  exchange.route = Route::managed;
  exchange.route_template = "/v1/import";
  exchange.trace.clear();
  exchange.trace.append(head.trace);
  exclusive_ = &exchange;
  std::unique_ptr<ChunkedBody> chunks;
  if (head.chunked) chunks = std::make_unique<ChunkedBody>(head.block, std::numeric_limits<std::size_t>::max());
  intake_ = std::unique_ptr<Intake>(new Intake{.exchange = exchange,
                                               .rows = std::move(*rows),
                                               .chunks = std::move(chunks),
                                               .bytes_left = head.content_length,
                                               .waiting = {},
                                               .complete = false,
                                               .fault = {}});
  since_ms_ = loop_.tick_ms();
  head_begun_ = false;
  starved_ = false;
  return true;
}

// False: it needs more, or is over.
bool Connection::take_in(std::string_view input, std::size_t& at) {
  Intake& intake = *intake_;
  std::string_view rest = input.substr(at);
  if (intake.chunks != nullptr) {
    std::size_t taken = 0;
    const ChunkedBody::State state = intake.chunks->feed(rest, taken);
    at += taken;
    if (state == ChunkedBody::State::malformed || state == ChunkedBody::State::too_large) {
      intake.fault = problem(400, "bad_http", "The body's chunks are malformed. Rows before that may be in.");
      if (intake.rows != nullptr) end_intake(Response(*intake.fault));
      return false;
    }
    intake.waiting += intake.chunks->take_body();
    intake.complete = state == ChunkedBody::State::complete;
    starved_ = !intake.complete;
  } else {
    rest = rest.substr(0, std::min<std::uint64_t>(rest.size(), intake.bytes_left));
    intake.waiting += rest;
    intake.bytes_left -= rest.size();
    at += rest.size();
    intake.complete = intake.bytes_left == 0;
  }
  since_ms_ = loop_.tick_ms();
  hand_over_rows();
  return false;
}

// Unless a worker has some already, or none takes them: then sweep() tries again.
void Connection::hand_over_rows() {
  Intake& intake = *intake_;
  if (intake.rows == nullptr || intake.fault || (intake.waiting.empty() && !intake.complete)) return;
  if (!loop_.take_rows(intake.exchange, intake.rows, intake.waiting, intake.complete)) return;
  intake.waiting.clear();
  intake.exchange.waits = true;
  pin();
}

void Connection::took_rows(Exchange& exchange, std::unique_ptr<ImportRows> rows, const std::optional<Response>& answer) {
  exchange.waits = false;
  unpin();                         // the caller holds another pin
  if (intake_ == nullptr) return;  // the client is gone
  since_ms_ = loop_.tick_ms();
  intake_->rows = std::move(rows);
  if (answer) return end_intake(*answer);
  if (intake_->fault) return end_intake(Response(*intake_->fault));
  if (loop_.services().stopping.load(std::memory_order_relaxed)) return end_intake(intake_->rows->interrupted());
  hand_over_rows();
}

// The answer, also before the end of the body: then nobody knows where the next request begins.
void Connection::end_intake(const Response& response) {
  Exchange& exchange = intake_->exchange;
  if (!intake_->complete || loop_.services().stopping.load(std::memory_order_relaxed)) {
    exchange.form.close = true;
  }
  if (exchange.form.close) closing_ = true;
  OPENSSL_cleanse(intake_->waiting.data(), intake_->waiting.size());
  intake_.reset();
  head_begun_ = false;
  starved_ = false;
  answer(exchange, response);
}

// Nothing happens before it sends more.
bool Connection::intake_awaits_client() const {
  return intake_ != nullptr && intake_->rows != nullptr && !intake_->complete && intake_->waiting.empty();
}

void Connection::answered_in_pieces(Exchange& exchange, const Response& response) {
  if (exchange.form.http10) {
    exchange.form.close = true;
    closing_ = true;
  }
  if (!exchange.form.head_only) exchange.more = response.more;
  write_answer(exchange, response);
  answered(exchange);
}

// The piece before is sent. Where no worker takes the job, sweep() asks again.
void Connection::ask_for_piece() {
  if (!loop_.make_piece(*first_)) return;
  first_->waits = true;
  pin();
}

void Connection::made_piece(Exchange& exchange, std::string_view piece, Piece state) {
  if (state == Piece::failed && open()) reset();
  if (open()) write_chunk(exchange.out, piece, exchange.form);
  if (state != Piece::one_of_more) {
    write_last_chunk(exchange.out, exchange.form);
    exchange.more.reset();
  }
  answered(exchange);
}

}  // namespace watchword::api
