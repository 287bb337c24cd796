#include "app/caretaker.h"

#include "api/log.h"
#include "app/pulse.h"
#include "app/service_manager.h"

namespace watchword::app {
namespace {

using api::Level;
using api::log;

constexpr std::chrono::milliseconds look_interval{500};
constexpr std::chrono::seconds status_interval{5};
// How long readiness goes on telling of a jump.
constexpr std::chrono::minutes jump_told_for{10};

std::int64_t in_seconds(std::chrono::milliseconds duration) {
  return std::chrono::duration_cast<std::chrono::seconds>(duration).count();
}

}  // namespace

Caretaker::Caretaker(engine::Engine& engine, api::Server& server, api::AccessKeys& access_keys, api::TrailOutlets& outlets,
                     metrics::History* history, const std::filesystem::path& data_dir)
    : engine_(engine),
      server_(server),
      access_keys_(access_keys),
      outlets_(outlets),
      history_(history),
      clock_(data_dir, engine::wall_now(), unset_clock()) {
  look_at_clock();
}

int Caretaker::wait(const sigset_t& signals) {
  tell_ready();
  Pulse pulse(server_, engine_.committer);
  auto told_at = std::chrono::steady_clock::now() - status_interval;
  auto read_at = std::chrono::steady_clock::now() - metrics::History::interval;
  for (;;) {
    const timespec interval{0, std::chrono::nanoseconds(look_interval).count()};
    const int signal = sigtimedwait(&signals, nullptr, &interval);
    if (signal == SIGTERM || signal == SIGINT) {
      clock_.remember();
      tell_stopping();
      return signal;
    }
    if (signal == SIGHUP) tell_reloading();
    server_.look_at_certificates(signal == SIGHUP);
    if (signal == SIGHUP) outlets_.reopen();
    if (signal == SIGHUP) tell_ready();
    look_at_clock();
    look_at_keys();
    access_keys_.look_after(engine::wall_now(), false);
    const bool news = look_at_store();
    if (pulse.moved()) tell_alive();
    const auto now = std::chrono::steady_clock::now();
    if (news || now - told_at >= status_interval) {
      tell_status(pulse.rates(engine_.store.health()));
      told_at = now;
    }
    if (history_ != nullptr && now - read_at >= metrics::History::interval) {
      history_->read(engine::wall_now().value);
      read_at = now;
    }
  }
}

// Whether the store's health changed.
bool Caretaker::look_at_store() {
  const engine::StoreHealth health = engine_.store.health();
  if (health.writable == writable_) return false;
  writable_ = health.writable;
  if (health.writable) {
    log(Level::info, "store recovered");
  } else {
    log(Level::error, "store refuses writes",
        {{"reason", health.reason}, {"needs_restart", health.needs_restart ? "yes" : "no"}});
  }
  return true;
}

void Caretaker::look_at_clock() {
  const ClockWatch::Seen seen = clock_.look(engine::wall_now(), unset_clock());
  const auto now = std::chrono::steady_clock::now();
  if (seen.jump.count() != 0) {
    log(Level::error, "clock jumped", {{"by_s", in_seconds(seen.jump)}});
    last_jump_ = seen.jump;
    jumped_at_ = now;
  }
  if (seen.pardoned) log(Level::warning, "clock taken for right, since the file CLOCK was removed");
  const bool behind = seen.behind.count() > 0;
  if (behind && !behind_) {
    log(Level::error, "clock is behind what it has been; not ready until it is right", {{"by_s", in_seconds(seen.behind)}});
  } else if (behind_ && !behind) {
    log(Level::info, "clock is no longer behind");
  }
  behind_ = behind;
  const bool told = last_jump_.count() != 0 && now - jumped_at_ < jump_told_for;
  server_.tell_clock({.behind_s = in_seconds(seen.behind),
                      .jumped_s = told ? in_seconds(last_jump_) : 0,
                      .jumps_forward = clock_.jumps_forward(),
                      .jumps_back = clock_.jumps_back()});
}

void Caretaker::look_at_keys() {
  const engine::KeysReport keys = engine_.store.keys();
  if (resealing_ && !keys.resealing && keys.data_keys.size() == 1) {
    log(Level::info, "secrets are sealed anew",
        {{"users", static_cast<std::int64_t>(keys.rows_done)},
         {"data_keys", static_cast<std::int64_t>(keys.data_keys.size())}});
  }
  resealing_ = keys.resealing;
}

}  // namespace watchword::app
