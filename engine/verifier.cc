#include "engine/verifier.h"

#include <sched.h>

#include <algorithm>
#include <array>

#include "engine/attempt.h"

namespace watchword::engine {

std::string_view to_string(Result result) {
  switch (result) {
    case Result::accepted:
      return "accepted";
    case Result::rejected:
      return "rejected";
    case Result::replayed:
      return "replayed";
    case Result::locked:
      return "locked";
    case Result::no_device:
      return "no_device";
  }
  return "unknown";
}

namespace {

// What it comes to before anybody is looked up; nullopt: go on.
std::optional<Next> turn_away(const Store& store, Producer& producer, std::size_t verifications) {
  if (!store.writable()) return Next::unavailable;
  if (!producer.has_room(cells_per_verification_max * verifications)) return Next::overloaded;
  return std::nullopt;
}

void reset(Verdict& verdict) {
  verdict.repeated = false;
  verdict.hard_locked = false;
  verdict.expected_digits = 0;
  verdict.retry_after_s = 0;
  verdict.drift_steps = 0;
  verdict.device = {};
  verdict.device_name_bytes = 0;
}

// Goes on with an attempt whose last run ended with `end`, until it is settled. A block is frozen only while its successor
// is being published: microseconds.
Next settle(Attempt& attempt, Attempt::End end, const Directory& directory, std::string_view name, std::uint64_t hash) {
  for (unsigned tries = 0;; ++tries) {
    switch (end) {
      case Attempt::End::answer:
        return Next::answer;
      case Attempt::End::await_commit:
        if (!attempt.owes_forgetting()) return Next::await_commit;
        break;
      case Attempt::End::code_length:
        return Next::code_length;
      case Attempt::End::moved:
        break;
    }
    if (tries > 64) sched_yield();
    ResidentUser* const user = directory.find(name, hash);
    if (attempt.owes_forgetting()) {
      attempt.forget(user);
      continue;
    }
    if (user == nullptr) {
      attempt.part();
      return Next::load_user;
    }
    end = attempt.run(*user);
  }
}

}  // namespace

Next Verifier::verify(const VerifyRequest& request, UnixMillis now, Producer& producer, Ticket& ticket,
                      Verdict& verdict) noexcept {
  const ReadScope scope;
  const std::uint64_t hash = hash_user(request.user);
  directory_.prefetch(hash);
  directory_.prefetch_places(hash);
  if (const std::optional<Next> next = turn_away(store_, producer, 1)) return *next;
  reset(verdict);
  ResidentUser* const user = directory_.find(request.user, hash);
  if (user == nullptr) return Next::load_user;
  Attempt attempt(request, now, policy_.current(), kernel_, fence(), producer, ticket, verdict);
  return settle(attempt, attempt.run(*user), directory_, request.user, hash);
}

// All of them are charged, then all codes are computed side by side, then each is judged.
template <class FetchAhead>
void Verifier::verify_bundle(std::span<BatchItem> items, const std::uint64_t* hashes, ResidentUser* const* likely,
                             UnixMillis now, Producer& producer, FetchAhead fetch_ahead_of) noexcept {
  struct Open {
    BatchItem* item;
    std::uint64_t hash;
    ResidentUser* user;
    std::optional<Attempt> attempt;
    bool planned;
  };
  std::array<Open, bundle_max> open;
  std::size_t count = 0;
  SharedCodes codes;
  const Policy& policy = policy_.current();
  for (std::size_t i = 0; i < items.size(); ++i) {
    fetch_ahead_of(i);
    BatchItem& item = items[i];
    if (const std::optional<Next> next = turn_away(store_, producer, count + 1)) {
      item.next = *next;
      continue;
    }
    reset(*item.verdict);
    ResidentUser* const user = directory_.find(item.request.user, hashes[i], likely[i]);
    if (user == nullptr) {
      item.next = Next::load_user;
      continue;
    }
    Open& one = open[count];
    one.attempt.emplace(item.request, now, policy, kernel_, fence(), producer, *item.ticket, *item.verdict);
    if (const auto end = one.attempt->begin(*user)) {
      item.next = settle(*one.attempt, *end, directory_, item.request.user, hashes[i]);
      continue;
    }
    one.item = &item;
    one.hash = hashes[i];
    one.user = user;
    one.planned = kernel_.sha1_side_by_side != nullptr && one.attempt->plan(*user, codes);
    ++count;
  }
  // A few are quicker one after the other.
  const bool together = codes.count >= SharedCodes::worth_it;
  if (together) kernel_.sha1_side_by_side(codes.jobs, codes.count);
  for (std::size_t i = 0; i < count; ++i) {
    Open& one = open[i];
    if (together && one.planned) {
      one.attempt->compare_planned(codes);
    } else {
      one.attempt->compute(*one.user);
    }
    one.item->next = settle(*one.attempt, one.attempt->claim(*one.user), directory_, one.item->request.user, one.hash);
  }
}

void Verifier::verify_batch(std::span<BatchItem> items, UnixMillis now, Producer& producer) noexcept {
  constexpr std::size_t group_max = 64;  // a read scope ends now and then: replaced blocks are freed only after it
  for (; !items.empty(); items = items.subspan(std::min(group_max, items.size()))) {
    const std::size_t count = std::min(group_max, items.size());
    const std::span<BatchItem> group = items.first(count);
    std::uint64_t hashes[group_max];
    for (std::size_t i = 0; i < count; ++i) hashes[i] = hash_user(group[i].request.user);
    const ReadScope scope;
    // A miss to memory lasts about as long as one verification, or longer; about a bundle lies between asking for a slot,
    // asking for the block that it names, and needing either. Asked for one by one, since a core awaits only so many lines.
    for (std::size_t i = 0; i < std::min(2 * bundle_max, count); ++i) directory_.prefetch(hashes[i]);
    ResidentUser* likely[group_max];
    for (std::size_t i = 0; i < std::min(bundle_max, count); ++i) likely[i] = directory_.prefetch_user(hashes[i]);
    const auto fetch_ahead_of = [&](std::size_t i) {
      if (i + bundle_max < count) likely[i + bundle_max] = directory_.prefetch_user(hashes[i + bundle_max]);
      if (i + 2 * bundle_max < count) directory_.prefetch(hashes[i + 2 * bundle_max]);
    };
    for (std::size_t at = 0; at < count;) {
      // Two items about one user meet one after the other: the second one begins the next bundle.
      std::size_t end = at + 1;
      const std::size_t last = std::min(at + bundle_max, count);
      while (end < last && std::find(hashes + at, hashes + end, hashes[end]) == hashes + end) ++end;
      verify_bundle(group.subspan(at, end - at), hashes + at, likely + at, now, producer,
                    [&](std::size_t i) { fetch_ahead_of(at + i); });
      at = end;
    }
  }
}

}  // namespace watchword::engine
