// `POST /v1/verify` and `/v1/verify/batch`, on an event loop: bodies into questions, verdicts into answers. One a loop.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "api/exchange.h"
#include "engine/engine.h"

namespace watchword::api {

class VerifyPlane {
 public:
  VerifyPlane(engine::Engine& engine, engine::Producer& producer) : engine_(engine), producer_(producer) {}

  enum class Progress : std::uint8_t {
    ready,  // the answer is in exchange.out
    waits,  // for tickets
    loads,  // for users who are not in memory: run a LoadUsers over wanted(), then loaded(); perhaps for tickets too
  };
  enum class Loaded : std::uint8_t { resident, nobody, store_fault };
  struct Load {
    Question* question;
    Loaded result = Loaded::store_fault;
  };

  Progress verify(Exchange& exchange, std::string_view body, engine::UnixMillis now);
  Progress verify_batch(Exchange& exchange, std::string_view body, engine::UnixMillis now);
  // The questions whose users a worker shall load. Theirs until loaded() has the results back.
  std::vector<Load> wanted(Exchange& exchange) const;
  Progress loaded(Exchange& exchange, const std::vector<Load>& loads, engine::UnixMillis now);
  // No worker takes the load.
  Progress load_refused(Exchange& exchange);
  // The ticket of `question` is back.
  Progress committed(Question& question);

  // After a round of the calls above: what they queued goes to the committer.
  void publish() noexcept;

 private:
  void ask(Question& question, engine::UnixMillis now);
  engine::VerifyRequest request_of(const Question& question) const;
  static void take(Question& question, engine::Next next);
  Progress settle(Exchange& exchange);
  void render(Exchange& exchange);
  void render_one(Exchange& exchange);
  void render_batch(Exchange& exchange);

  engine::Engine& engine_;
  engine::Producer& producer_;
  // Scratch.
  std::string body_;
  std::vector<engine::BatchItem> items_;
};

// On a worker thread. Brings each load's user into memory.
void load_users(engine::Registrar& registrar, std::vector<VerifyPlane::Load>& loads) noexcept;

}  // namespace watchword::api
