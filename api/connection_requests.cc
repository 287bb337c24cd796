// Connection's requests: from bytes to the part of the server that answers.
#include <fmt/format.h>
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

Response not_granted(const AccessKeys::Denied& denied) {
  switch (denied.reason) {
    case AccessKeys::Denied::Reason::expired:
      return problem(401, "key_expired", "This API key has expired, or was replaced by a new one.");
    case AccessKeys::Denied::Reason::wrong_address:
      return problem(403, "address_not_allowed", "This API key may not be used from this address.");
    case AccessKeys::Denied::Reason::unknown:
      break;
  }
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
  return problem(503, "overloaded", overloaded_detail);
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
    if (const std::size_t refused = refuse_at_once(rest); refused > 0) {
      at += refused;
      continue;
    }
    starved_ = true;
    if (rest.size() < wanted_bytes_) break;
    HeadFault fault;
    const std::optional<RequestHead> head = head_of(rest, fault);
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
    // One that led to a verification before, but for its body: what was asked about it then need not be asked again.
    const bool again = whole && familiar_verifies_ && familiar_.gave(*head) && head->content_length <= body_bytes_max;
    const bool small = whole && head->content_length <= body_bytes_max;
    if (!again && !known && head->has_body() && begin_intake(*head, small)) {
      at += head->bytes;
      continue;
    }
    if (closing_) break;
    if (!again && !known && head->has_body() && !admit(*head, whole)) break;
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
    dispatch(*head, rest.substr(head->bytes, head->content_length), again);
  }
  return at;
}

// Bytes of the requests at the front of `input` that get their 503 now. Many come while the loop has taken on all that it
// can, and each that begins with a head that led to a verification before costs next to nothing: its answer follows that of
// the request before it in the same exchange.
std::size_t Connection::refuse_at_once(std::string_view input) {
  VerifyPlane& plane = loop_.verify_plane();
  if (!familiar_verifies_ || !plane.full()) return 0;
  if (const RequestHead* const head = familiar_.known(); head == nullptr || form_of(*head) != AnswerForm{}) return 0;
  std::size_t at = 0;
  while (may_take()) {
    const std::string_view rest = input.substr(at);
    const std::optional<FamiliarHead::Extent> extent = familiar_.measure(rest);
    if (!extent || extent->body_bytes > body_bytes_max || rest.size() - extent->head_bytes < extent->body_bytes) break;
    at += extent->head_bytes + extent->body_bytes;
    if (last_ == nullptr || !VerifyPlane::takes_one_more(*last_)) {
      Exchange& exchange = begin_exchange({});
      exchange.route = Route::verify;
      exchange.ready = true;
    }
    plane.refuse_one_more(*last_);
  }
  if (at > 0) {
    head_begun_ = false;
    wanted_bytes_ = 0;
    starved_ = false;
  }
  return at;
}

std::optional<RequestHead> Connection::head_of(std::string_view input, HeadFault& fault) {
  fault = {};
  if (const std::optional<RequestHead> known = familiar_.match(input)) return known;
  const std::optional<RequestHead> head = parse_head(input, fault);
  if (head && familiar_.learn(*head)) familiar_granted_ = familiar_verifies_ = false;
  return head;
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
  dispatch(whole->head, whole->body.body(), false);
  return true;
}

// Whether the body may come. Who presents no key may send no large one.
std::size_t Connection::body_limit(const RequestHead& head) {
  if (route_of(head.target, planes_) != Route::batch) return body_bytes_max;
  const auto granted = authenticate(head, loop_.now());
  return granted && allows(granted->scopes, Scope::verify) ? batch_body_bytes_max : body_bytes_max;
}

bool Connection::admit(const RequestHead& head, bool body_is_here) {
  const bool must_ask = head.expects_continue && !body_is_here;
  const std::size_t limit = body_limit(head);
  const bool large = head.content_length > limit;
  if (large || must_ask) {
    const auto granted = authenticate(head, loop_.now());
    if (!granted && needs_key(route_of(head.target, planes_))) {
      refuse(not_granted(granted.error()));
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
  exchange.interim = true;
  exchange.out += "HTTP/1.1 100 Continue\r\n\r\n";
  exchange.ready = true;
}

Exchange& Connection::begin_exchange(AnswerForm form) {
  Exchange& exchange = loop_.take_exchange();
  exchange.connection = this;
  exchange.form = form;
  if (const LoopMetrics* const metrics = loop_.metrics()) exchange.begun = metrics->lap();
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
  write_answer(exchange, response);
  answered(exchange);
}

void Connection::refuse(const Response& response) {
  closing_ = true;
  head_begun_ = false;
  wanted_bytes_ = 0;
  chunked_.reset();
  answer(begin_exchange({.close = true}), response);
}

void Connection::dispatch(const RequestHead& head, std::string_view body, bool again) {
  const engine::UnixMillis now = loop_.now();
  Exchange& exchange = begin_exchange(form_of(head));
  if (exchange.form.close) closing_ = true;
  const Route route = again ? Route::verify : route_of(head.target, planes_);
  exchange.route = route;
  exchange.route_template = template_of(route);
  exchange.trace.clear();
  exchange.trace.append(head.trace);
  if (again || needs_key(route)) {
    const auto granted = authenticate(head, now);
    if (!granted) {
      if (route == Route::managed || route == Route::metrics) note_refusal(head, granted.error());
      return answer(exchange, not_granted(granted.error()));
    }
    if (const std::int64_t wait_ms = granted->spend(now); wait_ms > 0) return answer(exchange, too_many_requests(wait_ms));
    exchange.caller = *granted;
  }
  const bool reads = head.method == Method::get || head.method == Method::head;
  switch (route) {
    case Route::verify:
    case Route::batch:
      if (again && allows(exchange.caller.scopes, Scope::verify)) return ask(exchange, route, head, body, now);
      return answer_verify(exchange, route, head, body, now);
    case Route::managed:
    case Route::portal:
      return manage(exchange, route, head, body);
    case Route::health:
    case Route::readiness:
      if (!reads) return answer(exchange, wrong_method("GET, HEAD"));
      if (route == Route::readiness) return answer_readiness(exchange);
      return answer(exchange, {.body = R"({"status":"ok"})"});
    case Route::metrics:
      if (!reads) return answer(exchange, wrong_method("GET, HEAD"));
      if (!allows(exchange.caller.scopes, Scope::metrics)) {
        loop_.services().audit_queue.refused(origin_of(caller_name(exchange.caller.id, head), head), 403, head.method,
                                             head.target, engine::wall_now());
        return answer(exchange, problem(403, "forbidden", "This needs an API key with the scope metrics."));
      }
      if (has_query(head.target)) {
        return answer(exchange, problem(400, "bad_request", "This path takes no query parameters."));
      }
      if (loop_.services().exposition == nullptr) {
        return answer(exchange, problem(404, "not_found", "This server exposes no metrics (metrics.enabled)."));
      }
      return manage(exchange, route, head, body);
    case Route::documents:
      if (!reads) return answer(exchange, wrong_method("GET, HEAD"));
      return answer(exchange, loop_.services().documents.at(head.target.substr(0, head.target.find('?'))));
    case Route::unknown:
      return answer(exchange, not_found());
  }
}

void Connection::answer_verify(Exchange& exchange, Route route, const RequestHead& head, std::string_view body,
                               engine::UnixMillis now) {
  if (head.method != Method::post) return answer(exchange, wrong_method("POST"));
  if (!allows(exchange.caller.scopes, Scope::verify)) {
    return answer(exchange, problem(403, "forbidden", "This needs an API key with the scope verify."));
  }
  if (has_query(head.target)) return answer(exchange, problem(400, "bad_request", "This path takes no query parameters."));
  if (!is_json(head.content_type)) {
    return answer(exchange,
                  problem(415, "unsupported_media_type", "Send the body as JSON, with Content-Type: application/json."));
  }
  familiar_verifies_ = route == Route::verify && familiar_.gave(head);
  ask(exchange, route, head, body, now);
}

void Connection::ask(Exchange& exchange, Route route, const RequestHead& head, std::string_view body,
                     engine::UnixMillis now) {
  VerifyPlane& plane = loop_.verify_plane();
  exchange.address.clear();
  exchange.address.append(peer_address());
  exchange.certificate.clear();
  if (const CertifiedClient* const client = head.authorization.empty() ? certified_client() : nullptr) {
    exchange.certificate.append(client->name);
  }
  exchange.waits = true;
  pin();
  if (route == Route::batch) exclusive_ = &exchange;
  loop_.proceed(exchange, route == Route::batch ? plane.verify_batch(exchange, body, now) : plane.verify(exchange, body));
}

void Connection::answer_readiness(Exchange& exchange) {
  if (loop_.services().stopping.load(std::memory_order_relaxed)) {
    return answer(exchange, problem(503, "not_ready", "The server is stopping."));
  }
  const engine::StoreHealth health = loop_.services().engine.store.health();
  if (!health.writable || health.needs_restart) {
    return answer(exchange, problem(503, "not_ready", health.reason.empty() ? "The store takes no writes." : health.reason));
  }
  if (const std::int64_t behind_s = loop_.services().clock_behind_s.load(std::memory_order_relaxed); behind_s > 0) {
    return answer(exchange,
                  problem(503, "not_ready",
                          fmt::format("The server's clock is {} s behind what it has been. Set it right, or, if it "
                                      "is right now, remove the file CLOCK in the data directory.",
                                      behind_s)));
  }
  if (const std::int64_t jumped_s = loop_.services().clock_jumped_s.load(std::memory_order_relaxed); jumped_s != 0) {
    return answer(exchange, {.body = fmt::format(R"({{"status":"ready","clock_jumped_s":{}}})", jumped_s)});
  }
  answer(exchange, {.body = R"({"status":"ready"})"});
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
                                   .origin = origin_of(caller_name(exchange.caller.id, head), head),
                                   .browser = route == Route::portal ? browser_side(head) : BrowserSide{}});
  if (!taken) answer(exchange, overloaded());
}

}  // namespace watchword::api
