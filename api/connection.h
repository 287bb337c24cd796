// One client. Reads requests, also several at once, hands each to who answers it, and sends the answers in the order of the
// requests. Bounded in everything: bytes kept, answers outstanding, time taken.
//
// On its loop's thread only. It deletes itself (EventLoop::forget) when it is closed and nothing comes back to it any more.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "api/access_keys.h"
#include "api/exchange.h"
#include "api/familiar_head.h"
#include "api/kept_input.h"
#include "api/request_parser.h"
#include "api/routes.h"
#include "api/tcp_socket.h"
#include "api/tls_session.h"

namespace watchword::api {

class EventLoop;
class ImportRows;

class Connection {
 public:
  // `gate`: the listener's TLS; null: plain HTTP.
  Connection(EventLoop& loop, TcpSocket socket, std::uint8_t planes, const TlsGate* gate);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void start();
  // What the socket is ready for, as SocketEvents tells it. Acted upon in resume().
  void note(bool readable, bool writable, bool ended);
  void resume();
  // The exchange waited, and now its answer is there. work() is to be called after a round of these.
  void answered(Exchange& exchange);
  // An answer waits for a worker: see verifications_max.
  void needs_workers() { verifications_max_ = exchanges_max; }
  // The answer's head is there, and its body comes in pieces.
  void answered_in_pieces(Exchange& exchange, const Response& response);
  void made_piece(Exchange& exchange, std::string_view piece, Piece state);
  // A piece of an import was worked on. An answer: the import is over.
  void took_rows(Exchange& exchange, std::unique_ptr<ImportRows> rows, const std::optional<Response>& answer);
  // Sends what is ready, takes what is buffered, reads on.
  void work();
  // Deadlines.
  void sweep();
  // The server stops: closes if nothing is in flight.
  void drain();
  void cut();

  // Whoever comes back later holds a pin.
  void pin() { ++pins_; }
  void unpin();

  // The loop's list.
  Connection* previous = nullptr;
  Connection* next = nullptr;
  bool touched = false;
  bool revisited = false;

 private:
  struct Chunked;
  struct Intake;
  enum class Phase : std::uint8_t { handshake, idle, head, body, answering, sending, lingering };

  // connection.cc: bytes
  void wait_readable();
  void wait_writable();
  void on_readable();
  std::size_t receive(std::span<char> into, boost::system::error_code& error);
  std::size_t read_bytes_max() const;
  void send();
  std::size_t write_ready(boost::system::error_code& error);
  std::size_t write(std::span<const std::string_view> parts, boost::system::error_code& error);
  bool open() const { return socket_.is_open(); }
  bool may_take() const;
  bool waits_for_own_answers() const;  // before it reads on
  bool in_flight() const { return exchange_count_ > 0 || !kept_.empty() || chunked_ != nullptr; }
  void settle();
  void ask_for_piece();
  void linger();
  void reset();
  Phase phase() const;

  // connection_intake.cc: a body of any length
  bool begin_intake(const RequestHead& head, bool small_and_here);
  bool take_in(std::string_view input, std::size_t& at);
  void hand_over_rows();
  void end_intake(const Response& response);
  bool intake_awaits_client() const;

  // connection_requests.cc: requests
  std::size_t take(std::string_view input);
  std::optional<RequestHead> head_of(std::string_view input, HeadFault& fault);
  std::size_t refuse_at_once(std::string_view input);
  bool take_chunked(std::string_view input, std::size_t& at);
  bool admit(const RequestHead& head, bool body_is_here);
  std::size_t body_limit(const RequestHead& head);
  void dispatch(const RequestHead& head, std::string_view body, bool again);
  void answer_verify(Exchange& exchange, Route route, const RequestHead& head, std::string_view body,
                     engine::UnixMillis now);
  void ask(Exchange& exchange, Route route, const RequestHead& head, std::string_view body, engine::UnixMillis now);
  void answer_readiness(Exchange& exchange);
  void manage(Exchange& exchange, Route route, const RequestHead& head, std::string_view body);
  Exchange& begin_exchange(AnswerForm form);
  AnswerForm form_of(const RequestHead& head) const;
  void answer(Exchange& exchange, const Response& response);
  void refuse(const Response& response);  // and close: where the next request begins is not known, or not wanted
  void interim_continue();

  // connection_client.cc: who the client is
  boost::asio::ip::address peer() const;
  std::string_view peer_address();
  const CertifiedClient* certified_client();
  BrowserSide browser_side(const RequestHead& head);
  tl::expected<AccessKeys::Granted, AccessKeys::Denied> authenticate(const RequestHead& head, engine::UnixMillis now);
  std::string caller_name(std::uint64_t key_id, const RequestHead& head);
  engine::Origin origin_of(std::string actor, const RequestHead& head) const;
  void note_refusal(const RequestHead& head, const AccessKeys::Denied& denied);

  // Answers that may be outstanding, refusals in a row counting as one; then the client has to read before it is read.
  static constexpr unsigned exchanges_max = 64;
  // Of who verifies and reads: nobody else may fill memory with so many. While what the loop has at hand is bounded as well,
  // it sees all that waits, and what is too much it refuses in time. No more than a share of a round, or one connection
  // would be a round of its own. One more for each that was answered since a worker was needed, for a user who was not in
  // memory or a recovery code: workers' queues are everybody's.
  static constexpr unsigned verifications_max = 256;

  EventLoop& loop_;
  TcpSocket socket_;
  const std::uint8_t planes_;
  std::unique_ptr<TlsSession> tls_;  // null: plain
  unsigned pins_ = 0;
  // What it waits for; each holds a pin. And what the socket is known to be ready for, until a call finds that it is not.
  bool reading_ = false;
  bool writing_ = false;
  bool input_ready_ = false;
  bool output_ready_ = false;
  bool peer_ended_ = false;   // behind what there is to read, there is an end to read
  bool input_ended_ = false;  // the client sends no more, but may still read
  bool closing_ = false;      // no request is taken any more; closes when the answers are sent
  bool lingering_ = false;    // all is sent; reads and drops, so that the client gets to read the answer
  bool starved_ = false;      // what is kept is not a whole request
  bool head_begun_ = false;
  std::size_t linger_bytes_left_ = 0;
  std::int64_t since_ms_ = 0;     // when the head, body, linger or idle time began
  std::int64_t sent_ms_ = 0;      // when the socket last took bytes
  std::size_t wanted_bytes_ = 0;  // of the request being received, once its head is known
  KeptInput kept_;
  std::unique_ptr<Chunked> chunked_;
  std::unique_ptr<Intake> intake_;  // an import that is coming in
  Exchange* first_ = nullptr;       // in the order of requests
  Exchange* last_ = nullptr;
  unsigned exchange_count_ = 0;
  unsigned verifications_max_ = exchanges_max;
  std::size_t first_sent_bytes_ = 0;
  const Exchange* exclusive_ = nullptr;  // nothing is taken before this one is answered
  FamiliarHead familiar_;
  bool familiar_granted_ = false;   // whether granted_ is what its credentials are worth
  bool familiar_verifies_ = false;  // whether it led to a verification
  // The credentials presented last, and what they were worth while the keys were of that generation.
  std::array<char, 128> presented_;
  std::size_t presented_bytes_ = 0;
  AccessKeys::Granted granted_{};
  FixedText<64> peer_address_;  // once it was asked for
  std::uint64_t granted_generation_ = 0;
};

}  // namespace watchword::api
