// One request and its answer, from the moment the request is whole until the last byte of the answer is sent.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>

#include "api/access_keys.h"
#include "api/response_writer.h"
#include "api/routes.h"
#include "api/tls_gate.h"
#include "api/verify_json.h"
#include "engine/verifier.h"
#include "metrics/ticks.h"

namespace watchword::api {

class Connection;
struct Exchange;

// What is asked about one person, and what came of it. The ticket is the committer's while `standing` is committing.
struct Question : engine::Ticket {
  enum class Standing : std::uint8_t {
    asking,
    committing,    // the verdict stands once its ticket is back
    loading,       // a worker brings the user into memory
    recovering,    // a recovery code: to be checked by the pool for slow hashes
    checking,      // it is being checked
    answered,      // the verdict stands
    wrong_length,  // verdict.expected_digits says which would be right
    unavailable,   // not durable: 503
    overloaded,    // 503
  };
  Exchange* exchange = nullptr;
  VerifyFields fields;
  engine::Verdict verdict;
  Standing standing = Standing::asking;
  unsigned loads = 0;
  unsigned recovery_codes_left = 0;  // an accepted recovery code's
  metrics::Ticks asked = 0;          // when the engine was done with it
};

struct Batch final : BatchItems {
  VerifyFields& add() override { return questions.emplace_back().fields; }
  std::deque<Question> questions;  // tickets stay where they are
};

// Kept by its loop for the next request; nothing in it is allocated again in steady state.
struct Exchange {
  Connection* connection = nullptr;
  Exchange* next = nullptr;  // the connection's next one, in the order of requests
  bool ready = false;        // answer() is whole
  bool waits = false;        // a ticket or a job comes back to it: it and its connection stay
  AnswerForm form;
  std::string out;
  std::string_view shared;           // the answer instead, where many exchanges have the same
  std::shared_ptr<BodySource> more;  // what follows `out`, piece by piece; null: nothing
  AccessKeys::Granted caller{};
  FixedText<64> address;                         // the client's, of a verification; for the audit trail
  FixedText<client_name_bytes_max> certificate;  // of a verification: whose name stood for a key; empty: it was a key
  FixedText<128> trace;                          // RequestHead::trace, for the log and the audit trail
  Question question;
  std::unique_ptr<Batch> batch;  // instead of `question`
  std::size_t committing = 0;    // questions whose ticket is out
  std::size_t recovering = 0;    // questions with a recovery code that is not checked yet
  bool loading = false;          // a job is out
  // What is counted about it (api/loop_metrics.h).
  Route route = Route::unknown;
  std::string_view route_template;  // of a route that workers answer
  unsigned status = 200;            // what answer() says
  unsigned refusals = 0;            // `shared` is so many answers, all of them 503 (VerifyPlane::refuse_one_more)
  bool interim = false;             // a 100: the answer itself is another one
  bool verified = false;            // a question alone that was put to the engine
  metrics::Ticks begun = 0;         // when the request was whole
  metrics::Ticks decided = 0;       // when its answer was known

  std::string_view answer() const { return shared.empty() ? std::string_view(out) : shared; }
};

// The one way an answer that is not a plain 200 gets into an exchange.
inline void write_answer(Exchange& exchange, const Response& response) {
  exchange.status = response.status;
  write_response(exchange.out, response, exchange.form);
}

}  // namespace watchword::api
