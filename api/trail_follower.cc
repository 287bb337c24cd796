#include "api/trail_follower.h"

#include <pthread.h>

#include <algorithm>
#include <charconv>
#include <random>

#include "api/log.h"

namespace watchword::api {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t rows_at_once = 512;
constexpr milliseconds look_interval{200};  // how late an entry may be told
constexpr milliseconds store_retry{5000};
constexpr milliseconds delay_first{1000};
constexpr milliseconds delay_last{300'000};
// Where nothing was delivered, the place need not be noted at once: what is passed over is passed over again.
constexpr std::chrono::seconds note_interval{10};

}  // namespace

milliseconds retry_delay(unsigned attempt) {
  const unsigned doublings = std::min(attempt > 0 ? attempt - 1 : 0U, 20U);
  const std::int64_t whole = std::min(delay_last.count(), delay_first.count() << doublings);
  thread_local std::mt19937_64 lot{std::random_device{}()};
  return milliseconds(whole / 2 + std::uniform_int_distribution<std::int64_t>(0, whole / 2)(lot));
}

TrailFollower::TrailFollower(engine::Store& store, engine::Committer& committer, std::string name, TrailReceiver& receiver)
    : store_(store), committer_(committer), document_("trail-place/" + std::move(name)), receiver_(receiver) {}

TrailFollower::~TrailFollower() {
  stop();
}

void TrailFollower::start() {
  resume();
  thread_ = std::thread([this] { run(); });
}

void TrailFollower::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  receiver_.cancel();
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

std::uint64_t TrailFollower::backlog() const noexcept {
  const std::uint64_t last = store_.audit_last(), place = place_.load(std::memory_order_relaxed);
  return (last > place ? last - place : 0) + aside_count_.load(std::memory_order_relaxed);
}

bool TrailFollower::stopping() {
  const std::lock_guard lock(mutex_);
  return stopping_;
}

// False: the follower is to end.
bool TrailFollower::sleep(milliseconds duration) {
  std::unique_lock lock(mutex_);
  wake_.wait_for(lock, duration, [this] { return stopping_; });
  return !stopping_;
}

// "17" or "17 3 9": done up to entry 17, but for 3 and 9, which stand aside.
std::string TrailFollower::place_text() const {
  std::string text = std::to_string(place_.load(std::memory_order_relaxed));
  for (const Aside& aside : aside_) text += " " + std::to_string(aside.row.sequence);
  return text;
}

void TrailFollower::resume() {
  const std::optional<std::string> text = store_.document(document_);
  if (!text) {
    // New: what was before it does not concern it, and a crash now must not make it concern it less.
    place_ = store_.audit_last();
    return note(true);
  }
  const char* at = text->data();
  const char* const end = at + text->size();
  std::uint64_t number = 0;
  at = std::from_chars(at, end, number).ptr;
  place_ = number;
  while (at != end && *at == ' ') {
    const auto [stop, fault] = std::from_chars(at + 1, end, number);
    if (fault != std::errc{}) break;
    at = stop;
    const std::vector<engine::AuditRow> row = store_.audit_after(number - 1, 1);
    if (!row.empty() && row.front().sequence == number) put_aside(row.front(), 1);
  }
  noted_ = *text;
}

void TrailFollower::run() {
  pthread_setname_np(pthread_self(), "trail");
  do {
    try {
      while (follow()) {
      }
      note(false);
    } catch (const std::exception& fault) {
      log(Level::error, "the audit trail cannot be followed",
          {{"follower", document_}, {"reason", std::string(fault.what())}});
      if (!sleep(store_retry)) break;
    }
  } while (sleep(look_interval));
  note(true);
}

// True: there may be more at once.
bool TrailFollower::follow() {
  retry_aside();
  const std::vector<engine::AuditRow> rows = store_.audit_after(place_, rows_at_once);
  if (!rows.empty() && rows.front().sequence > place_ + 1) {
    const std::uint64_t gone = rows.front().sequence - place_ - 1;
    lost_.fetch_add(gone, std::memory_order_relaxed);
    log(Level::error, "entries went from the audit trail before they were delivered",
        {{"follower", document_}, {"entries", static_cast<std::int64_t>(gone)}});
  }
  if (!hand_over(rows)) return false;
  note(false);
  return rows.size() == rows_at_once && !stopping();
}

// False: the follower is to end before all are done.
bool TrailFollower::hand_over(std::span<const engine::AuditRow> rows) {
  const auto goes = [this](const engine::AuditRow& row) { return receiver_.wants(row.entry) && !held_back(row.entry); };
  unsigned attempt = 1;
  while (!rows.empty()) {
    if (stopping()) return false;
    if (!goes(rows.front())) {
      const bool waits = receiver_.wants(rows.front().entry);
      if (waits && !put_aside(rows.front(), 0)) {
        if (!sleep(delay_first)) return false;
        retry_aside();
        continue;
      }
      place_ = rows.front().sequence;
      rows = rows.subspan(1);
      continue;
    }
    const auto end = std::find_if_not(rows.begin(), rows.end(), goes);
    const auto count = std::min<std::size_t>(static_cast<std::size_t>(end - rows.begin()), receiver_.batch_max());
    const Delivery delivery = receiver_.deliver(rows.subspan(0, count), attempt);
    if (delivery.taken > 0) {
      place_ = rows[delivery.taken - 1].sequence;
      taken_.fetch_add(delivery.taken, std::memory_order_relaxed);
      rows = rows.subspan(delivery.taken);
      attempt = 1;
      note(true);
    }
    if (delivery.rest == Delivery::Rest::none) continue;
    failures_.fetch_add(1, std::memory_order_relaxed);
    if (delivery.rest == Delivery::Rest::aside && put_aside(rows.front(), attempt)) {
      place_ = rows.front().sequence;
      rows = rows.subspan(1);
      attempt = 1;
      note(true);
    } else if (!sleep(retry_delay(attempt++))) {
      return false;
    }
  }
  return true;
}

// False: too many stand there already. Behind another one of its user it waits for that one.
bool TrailFollower::put_aside(const engine::AuditRow& row, unsigned attempts) {
  if (aside_.size() >= aside_max) return false;
  aside_.push_back({row, attempts, Clock::now() + (attempts > 0 ? retry_delay(attempts) : milliseconds(0))});
  ++users_aside_[row.entry.user];
  aside_count_ = aside_.size();
  return true;
}

// One attempt for each user whose first entry is due; a success lets that user's next one go at once.
void TrailFollower::retry_aside() {
  std::unordered_map<std::string, bool> stuck;
  bool any = false;
  for (auto at = aside_.begin(); at != aside_.end() && !stopping();) {
    const std::string user = at->row.entry.user;
    if (stuck.contains(user) || at->due > Clock::now()) {
      stuck[user] = true;
      ++at;
      continue;
    }
    const Delivery delivery = receiver_.deliver({&at->row, 1}, at->attempts + 1);
    if (delivery.taken == 0) {
      failures_.fetch_add(1, std::memory_order_relaxed);
      at->due = Clock::now() + retry_delay(++at->attempts);
      stuck[user] = true;
      // Nobody is there: the others need not try.
      if (delivery.rest == Delivery::Rest::holds) break;
      ++at;
      continue;
    }
    taken_.fetch_add(1, std::memory_order_relaxed);
    if (--users_aside_[user] == 0) users_aside_.erase(user);
    at = aside_.erase(at);
    any = true;
  }
  aside_count_ = aside_.size();
  if (any) note(true);
}

// `now`: something was delivered or put aside, so a crash shall not have it delivered again without need.
void TrailFollower::note(bool now) {
  if (!now && Clock::now() - noted_at_ < note_interval) return;
  std::string text = place_text();
  if (text == noted_) return;
  engine::Change change;
  change.put_documents.emplace_back(document_, text);
  if (committer_.commit(change) != engine::Outcome::durable) return;
  noted_ = std::move(text);
  noted_at_ = Clock::now();
}

}  // namespace watchword::api
