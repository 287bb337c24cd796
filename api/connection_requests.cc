// Connection's requests: from bytes to the part of the server that answers.
#include <openssl/crypto.h>

#include <spdlog/spdlog.h>

#include "api/connection_chunked.h"
#include "api/event_loop.h"
#include "api/header_text.h"
#include "api/problem.h"

namespace watchword::api {
namespace {

Response body_too_large(std::size_t limit) {
  const bool batch = limit > body_bytes_max;
  return problem(413, "body_too_large",
                 batch ? "The body of a batch may have 8 MiB." : "The body of a request may have 64 KiB.");
}

Response no_key() {
  return problem(401, "unauthorized", "This needs a valid API key: Authorization: Bearer KEY.");
}

Response not_found() {
  return problem(404, "not_found", "There is nothing at this path.");
}

Response wrong_method(std::string_view allowed) {
  Response response = problem(405, "method_not_allowed", "This path allows " + std::string(allowed) + ".");
  response.headers.emplace_back("Allow", allowed);
  return response;
}

Response overloaded() {
  return problem(503, "overloaded", "The server is overloaded. Try again later.");
}

}  // namespace

// Takes whole requests from `input` while it may, and returns how many bytes they had. What is left is a request's
// beginning (then starved_), or has to wait for its turn.
std::size_t Connection::take(std::string_view input) {
  std::size_t at = 0;
  while (may_take()) {
    if (intake_ != nullptr) {
      if (!take_in(input, at)) break;
      continue;
    }
    if (chunked_ != nullptr) {
      if (!take_chunked(input, at)) break;
      continue;
    }
    if (!head_begun_) at += blank_lines(input.substr(at));
    const std::string_view rest = input.substr(at);
    if (rest.empty()) break;
    starved_ = true;
    if (rest.size() < wanted_bytes_) break;
    HeadFault fault;
    const std::optional<RequestHead> head = parse_head(rest, fault);
    if (!head && fault.status == 0) {
      if (!head_begun_) since_ms_ = loop_.tick_ms();
      head_begun_ = true;
      break;
    }
    if (!head) {
      refuse(problem(fault.status, fault.slug, fault.detail));
      break;
    }
    const bool known = wanted_bytes_ > 0;  // the head was looked at before, and admitted
    const bool whole = !head->chunked && rest.size() - head->bytes >= head->content_length;
    if (!known && head->has_body() && begin_intake(*head, whole)) {
      at += head->bytes;
      continue;
    }
    if (closing_) break;
    if (!known && head->has_body() && !admit(*head, whole)) break;
    if (head->chunked) {
      chunked_ = std::make_unique<Chunked>(rest.substr(0, head->bytes), body_limit(*head));
      at += head->bytes;
      starved_ = false;
      continue;
    }
    if (!whole) {
      wanted_bytes_ = head->bytes + head->content_length;
      break;
    }
    head_begun_ = false;
    wanted_bytes_ = 0;
    starved_ = false;
    at += head->bytes + head->content_length;
    dispatch(*head, rest.substr(head->bytes, head->content_length));
  }
  return at;
}

bool Connection::take_chunked(std::string_view input, std::size_t& at) {
  std::size_t taken = 0;
  const ChunkedBody::State state = chunked_->body.feed(input.substr(at), taken);
  at += taken;
  switch (state) {
    case ChunkedBody::State::incomplete:
      starved_ = true;
      return false;
    case ChunkedBody::State::malformed:
      refuse(problem(400, "bad_http", "The body's chunks are malformed."));
      return false;
    case ChunkedBody::State::too_large:
      refuse(body_too_large(body_limit(chunked_->head)));
      return false;
    case ChunkedBody::State::complete:
      break;
  }
  const std::unique_ptr<Chunked> whole = std::move(chunked_);
  head_begun_ = false;
  dispatch(whole->head, whole->body.body());
  return true;
}

// Whether the body may come. Who presents no key may send no large one.
std::size_t Connection::body_limit(const RequestHead& head) {
  if (route_of(head.target, planes_) != Route::batch) return body_bytes_max;
  const std::optional<AccessKeys::Granted> granted = authenticate(head.authorization);
  return granted && allows(granted->scopes, Scope::verify) ? batch_body_bytes_max : body_bytes_max;
}

bool Connection::admit(const RequestHead& head, bool body_is_here) {
  const bool must_ask = head.expects_continue && !body_is_here;
  const std::size_t limit = body_limit(head);
  const bool large = head.content_length > limit;
  if (large || must_ask) {
    if (needs_key(route_of(head.target, planes_)) && !authenticate(head.authorization)) {
      refuse(no_key());
      return false;
    }
  }
  if (large) {
    refuse(body_too_large(limit));
    return false;
  }
  if (!body_is_here) since_ms_ = loop_.tick_ms();
  if (must_ask) interim_continue();
  return true;
}

void Connection::interim_continue() {
  Exchange& exchange = begin_exchange({});
  exchange.out += "HTTP/1.1 100 Continue\r\n\r\n";
  exchange.ready = true;
}

Exchange& Connection::begin_exchange(AnswerForm form) {
  Exchange& exchange = loop_.take_exchange();
  exchange.connection = this;
  exchange.form = form;
  (last_ != nullptr ? last_->next : first_) = &exchange;
  last_ = &exchange;
  ++exchange_count_;
  return exchange;
}

AnswerForm Connection::form_of(const RequestHead& head) const {
  return {.close = !head.keep_alive || loop_.services().stopping.load(std::memory_order_relaxed),
          .http10 = head.http10,
          .head_only = head.method == Method::head};
}

void Connection::answer(Exchange& exchange, const Response& response) {
  write_response(exchange.out, response, exchange.form);
  answered(exchange);
}

void Connection::refuse(const Response& response) {
  closing_ = true;
  head_begun_ = false;
  wanted_bytes_ = 0;
  chunked_.reset();
  answer(begin_exchange({.close = true}), response);
}

void Connection::dispatch(const RequestHead& head, std::string_view body) {
  Exchange& exchange = begin_exchange(form_of(head));
  if (exchange.form.close) closing_ = true;
  const Route route = route_of(head.target, planes_);
  if (needs_key(route)) {
    const std::optional<AccessKeys::Granted> granted = authenticate(head.authorization);
    if (!granted) {
      if (route == Route::managed) note_refusal(head);
      return answer(exchange, no_key());
    }
    exchange.caller = *granted;
  }
  const bool reads = head.method == Method::get || head.method == Method::head;
  switch (route) {
    case Route::verify:
    case Route::batch:
      return answer_verify(exchange, route, head, body);
    case Route::managed:
    case Route::portal:
      return manage(exchange, route, head, body);
    case Route::health:
    case Route::readiness:
      if (!reads) return answer(exchange, wrong_method("GET, HEAD"));
      if (route == Route::readiness) return answer_readiness(exchange);
      return answer(exchange, {.body = R"({"status":"ok"})"});
    case Route::documents:
      if (!reads) return answer(exchange, wrong_method("GET, HEAD"));
      return answer(exchange, loop_.services().documents.at(head.target.substr(0, head.target.find('?'))));
    case Route::unknown:
      return answer(exchange, not_found());
  }
}

// Nobody yet: there is no key to name.
void Connection::note_refusal(const RequestHead& head) {
  loop_.services().audit_queue.refused(origin_of("nobody", head), 401, head.method, head.target, engine::wall_now());
}

void Connection::answer_verify(Exchange& exchange, Route route, const RequestHead& head, std::string_view body) {
  if (head.method != Method::post) return answer(exchange, wrong_method("POST"));
  if (!allows(exchange.caller.scopes, Scope::verify)) {
    return answer(exchange, problem(403, "forbidden", "This needs an API key with the scope verify."));
  }
  if (has_query(head.target)) return answer(exchange, problem(400, "bad_request", "This path takes no query parameters."));
  if (!is_json(head.content_type)) {
    return answer(exchange,
                  problem(415, "unsupported_media_type", "Send the body as JSON, with Content-Type: application/json."));
  }
  VerifyPlane& plane = loop_.verify_plane();
  exchange.waits = true;
  pin();
  if (route == Route::batch) exclusive_ = &exchange;
  loop_.proceed(exchange, route == Route::batch ? plane.verify_batch(exchange, body, engine::wall_now())
                                                : plane.verify(exchange, body, engine::wall_now()));
  loop_.publish_soon();
}

void Connection::answer_readiness(Exchange& exchange) {
  if (loop_.services().stopping.load(std::memory_order_relaxed)) {
    return answer(exchange, problem(503, "not_ready", "The server is stopping."));
  }
  const engine::StoreHealth health = loop_.services().engine.store.health();
  if (!health.writable || health.needs_restart) {
    return answer(exchange, problem(503, "not_ready", health.reason.empty() ? "The store takes no writes." : health.reason));
  }
  answer(exchange, {.body = R"({"status":"ready"})"});
}

engine::Origin Connection::origin_of(std::string actor, const RequestHead& head) const {
  boost::system::error_code gone;
  const auto peer = socket_.remote_endpoint(gone);
  return {.actor = std::move(actor),
          .address = gone ? std::string() : peer.address().to_string(),
          .trace = std::string(head.trace)};
}

BrowserSide Connection::browser_side(const RequestHead& head) const {
  boost::system::error_code error;
  const auto peer = socket_.remote_endpoint(error);
  return {
      .head = std::string(head.block), .peer = error ? std::string() : peer.address().to_string(), .tls = tls_ != nullptr};
}

void Connection::manage(Exchange& exchange, Route route, const RequestHead& head, std::string_view body) {
  exchange.waits = true;
  pin();
  // One at a time: what a client asks for in one breath happens in that order, and queues no more than one body.
  exclusive_ = &exchange;
  const bool taken = loop_.manage(exchange, route,
                                  {.method = head.method,
                                   .target = std::string(head.target),
                                   .content_type = std::string(head.content_type),
                                   .if_match = std::string(head.if_match),
                                   .body = std::string(body),
                                   .caller = exchange.caller,
                                   .origin = origin_of("key:" + engine::DeviceId{exchange.caller.id}.text(), head),
                                   .browser = route == Route::portal ? browser_side(head) : BrowserSide{}});
  if (!taken) answer(exchange, overloaded());
}

std::optional<AccessKeys::Granted> Connection::authenticate(std::string_view authorization) {
  if (authorization.empty()) {
    const CertifiedClient* const client = tls_ ? tls_->client() : nullptr;
    return client != nullptr ? std::optional(client->granted) : std::nullopt;
  }
  AccessKeys& keys = loop_.services().keys;
  const std::uint64_t generation = keys.generation();  // before the look, so that a change after it is noticed
  if (granted_generation_ == generation && presented_bytes_ == authorization.size() &&
      CRYPTO_memcmp(presented_.data(), authorization.data(), presented_bytes_) == 0) {
    return granted_;
  }
  const std::optional<AccessKeys::Granted> granted = keys.authenticate(bearer_key(authorization));
  if (granted && authorization.size() <= presented_.size()) {
    authorization.copy(presented_.data(), authorization.size());
    presented_bytes_ = authorization.size();
    granted_ = *granted;
    granted_generation_ = generation;
  }
  return granted;
}

}  // namespace watchword::api
