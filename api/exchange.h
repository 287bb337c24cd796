// One request and its answer, from the moment the request is whole until the last byte of the answer is sent.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>

#include "api/access_keys.h"
#include "api/response_writer.h"
#include "api/verify_json.h"
#include "engine/verifier.h"

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
};

struct Batch final : BatchItems {
  VerifyFields& add() override { return questions.emplace_back().fields; }
  std::deque<Question> questions;  // tickets stay where they are
};

// Kept by its loop for the next request; nothing in it is allocated again in steady state.
struct Exchange {
  Connection* connection = nullptr;
  Exchange* next = nullptr;  // the connection's next one, in the order of requests
  bool ready = false;        // `out` is the whole answer
  bool waits = false;        // a ticket or a job comes back to it: it and its connection stay
  AnswerForm form;
  std::string out;
  std::shared_ptr<BodySource> more;  // what follows `out`, piece by piece; null: nothing
  AccessKeys::Granted caller{};
  Question question;
  std::unique_ptr<Batch> batch;  // instead of `question`
  std::size_t committing = 0;    // questions whose ticket is out
  std::size_t recovering = 0;    // questions with a recovery code that is not checked yet
  bool loading = false;          // a job is out
};

}  // namespace watchword::api
