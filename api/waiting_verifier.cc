#include "api/waiting_verifier.h"

namespace watchword::api {
namespace {

// As for the event loops: a user who is evicted again before the question is asked again, this often.
constexpr unsigned loads_max = 3;

}  // namespace

WaitingVerifier::~WaitingVerifier() {
  const std::lock_guard last_delivery_has_returned(mutex_);
}

tl::expected<engine::Verdict, WaitingVerifier::Refused> WaitingVerifier::verify(const engine::VerifyRequest& request,
                                                                                const engine::Origin& origin,
                                                                                engine::UnixMillis now) {
  tl::expected<engine::Verdict, Refused> answer = ask(request, origin, now);
  Asked what = Asked::unavailable;
  if (answer) {
    what = asked(answer->result);
  } else if (answer.error().refusal == Refusal::wrong_length) {
    what = Asked::invalid;
  } else if (answer.error().refusal == Refusal::overloaded) {
    what = Asked::overloaded;
  }
  answered_[static_cast<std::size_t>(what)].add();
  return answer;
}

tl::expected<engine::Verdict, WaitingVerifier::Refused> WaitingVerifier::ask(const engine::VerifyRequest& request,
                                                                             const engine::Origin& origin,
                                                                             engine::UnixMillis now) {
  using engine::Next;
  engine::Verdict verdict;
  Awaited ticket;
  Next next = Next::overloaded;
  for (unsigned loads = 0; loads <= loads_max; ++loads) {
    {
      const std::lock_guard lock(asking_);
      if (!notes_.has_room(1)) return tl::unexpected(Refused{Refusal::overloaded});
      next = engine_.verifier.verify(request, now, producer_, ticket, verdict);
      if (next == Next::answer || next == Next::await_commit) {
        notes_.decided({.actor = origin.actor, .address = origin.address, .trace = origin.trace}, request.user, verdict,
                       now);
      }
      producer_.publish();
    }
    if (next != Next::load_user) break;
    if (!engine_.registrar.load(request.user)) return verdict;  // no_device, as it is made
  }
  engine_.committer.kick();
  switch (next) {
    case Next::answer:
      return verdict;
    case Next::await_commit:
      break;
    case Next::code_length:
      return tl::unexpected(Refused{Refusal::wrong_length, verdict.expected_digits});
    case Next::unavailable:
      return tl::unexpected(Refused{Refusal::store_unavailable});
    case Next::load_user:
    case Next::overloaded:
      return tl::unexpected(Refused{Refusal::overloaded});
  }
  std::unique_lock lock(mutex_);
  returned_.wait(lock, [&] { return ticket.back; });
  if (ticket.outcome == engine::Outcome::failed) return tl::unexpected(Refused{Refusal::store_unavailable});
  // Another node accepted the code first.
  if (ticket.outcome == engine::Outcome::conflict && verdict.result == engine::Result::accepted) {
    verdict.result = engine::Result::replayed;
    verdict.repeated = false;
  }
  return verdict;
}

void WaitingVerifier::deliver(engine::Ticket* first) noexcept {
  const std::lock_guard lock(mutex_);
  for (engine::Ticket* ticket = first; ticket != nullptr;) {
    engine::Ticket* const next = ticket->next;  // the waiter's stack is gone once it wakes
    static_cast<Awaited*>(ticket)->back = true;
    ticket = next;
  }
  returned_.notify_all();
}

}  // namespace watchword::api
