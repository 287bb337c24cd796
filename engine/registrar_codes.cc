// The registrar's calls that look at codes: confirmation, resynchronisation, unlocking, and the memory of retired secrets.
#include <openssl/crypto.h>
#include <sched.h>

#include <algorithm>

#include "engine/fence.h"
#include "engine/registrar.h"
#include "engine/retired_secrets.h"
#include "engine/words.h"

namespace watchword::engine {
namespace {

// "Your phone's clock is 2 minutes behind": how far a wrong confirmation looks for a moment that explains it.
constexpr std::int64_t clock_help_s = 3600;
// Notes of retired secrets that have served their time go with a removal, but they are not looked through at each.
constexpr std::int64_t sweep_interval_s = 60;

// Codes of the steps first .. first + count - 1 as numbers.
std::vector<std::uint32_t> codes(const HmacKernel& kernel, const DeviceRecord& device, std::int64_t first,
                                 std::size_t count) {
  alignas(8) std::uint8_t state[key_state_bytes_max];
  derive_key_state(device.parameters.algorithm, device.secret.bytes(), state);
  std::vector<std::uint32_t> values(count);
  kernel.truncate(device.parameters.algorithm, state, static_cast<std::uint64_t>(first), count, values.data());
  OPENSSL_cleanse(state, sizeof state);
  const std::uint32_t modulus = code_modulus(device.parameters.digits);
  for (std::uint32_t& value : values) value %= modulus;
  return values;
}

struct Window {
  std::int64_t first;
  std::size_t count;
};
Window around(std::int64_t centre, std::int64_t steps) {
  const std::int64_t first = std::max<std::int64_t>(0, centre - steps);
  return {first, static_cast<std::size_t>(std::max<std::int64_t>(0, centre + steps - first) + 1)};
}

}  // namespace

Change Registrar::retirement(const DeviceRecord& device, const CellValue& last, UnixMillis now) {
  Change change;
  if (now.seconds() >= notes_swept_at_s_.load(std::memory_order_relaxed) + sweep_interval_s) {
    notes_swept_at_s_.store(now.seconds(), std::memory_order_relaxed);
    for (const auto& [name, text] : store_.documents(retired_secret_prefix)) {
      if (RetiredSecret::parse(text).step_to_respect(now) < 0) change.erase_documents.push_back(name);
    }
  }
  const ReplayWord word{last.word};
  if (!word.used()) return change;
  // Another user may have had the very secret, and used it later.
  const std::int64_t last_step = std::max(word.last_step(), retired_step(device, now));
  const RetiredSecret retired = RetiredSecret::after(last_step, device.parameters.period_s);
  const std::string name = retired_secret_name(store_.hash_key(), device.secret, device.parameters);
  std::erase(change.erase_documents, name);
  change.put_documents.emplace_back(name, retired.text());
  return change;
}

std::int64_t Registrar::retired_step(const DeviceRecord& device, UnixMillis now) {
  const auto text = store_.document(retired_secret_name(store_.hash_key(), device.secret, device.parameters));
  return text ? RetiredSecret::parse(*text).step_to_respect(now) : -1;
}

Answer<Confirmation> Registrar::confirm(const UserName& name, DeviceId id, Code code, const Origin& origin, UnixMillis now) {
  const Policy policy = policy_.copy();
  const auto held = lock(name.text());
  std::optional<LoadedUser> user = find(name.text());
  if (!user) return tl::unexpected(Refusal::user_not_found);
  auto& devices = user->record.devices;
  const auto found = std::find_if(devices.begin(), devices.end(), [&](const auto& device) { return device.id == id; });
  if (found == devices.end()) return tl::unexpected(Refusal::device_not_found);
  const auto at = static_cast<std::size_t>(found - devices.begin());
  DeviceRecord& device = *found;
  if (device.status != DeviceStatus::pending) return tl::unexpected(Refusal::not_pending);
  if (device.expires_at_s <= now.seconds() || device.failed_confirmations >= failed_confirmations_max) {
    return tl::unexpected(Refusal::expired);
  }
  if (code.digits != device.parameters.digits) return tl::unexpected(Refusal::code_length);
  const auto active = std::count_if(devices.begin(), devices.end(),
                                    [](const DeviceRecord& other) { return other.status == DeviceStatus::active; });
  if (static_cast<unsigned>(active) >= policy.max_devices_per_user) return tl::unexpected(Refusal::device_limit);

  const StepTime step_time = step_time_at(now, device.parameters.period_s);
  const Window window = around(step_time.step(), policy.registration_window_steps);
  const std::vector<std::uint32_t> values = codes(kernel_, device, window.first, window.count);
  std::int64_t match = -1;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (values[i] == code.value) match = window.first + static_cast<std::int64_t>(i);
  }
  // A device that was shown after the fence has a secret that no lost confirmation can have used.
  const bool before_fence = device.created_at_s <= fence().seconds();
  const std::int64_t fenced = before_fence ? fenced_step(fence(), device.parameters.period_s, policy) : -1;
  if (match < 0 || match <= std::max(retired_step(device, now), fenced))
    return refuse_confirmation(*user, at, code, origin, now);

  // Who registers types slowly: nothing is learned of the clock yet.
  const ReplayWord word = ReplayWord::make(match, 0);
  device.status = DeviceStatus::active;
  device.enabled = true;
  device.confirmed_at_s = now.seconds();
  device.expires_at_s = 0;
  device.failed_confirmations = 0;
  user->replay[at] = {word.bits, 0};
  Change change;
  // The code that confirmed is used up in the same write that makes the device.
  change.cells.push_back({{user->record.number, device.slot}, user->replay[at]});
  change.audit.push_back(entry("device.confirm", name.text(), id,
                               R"({"result":"accepted","name":)" + json_quoted(device.name) + "}", origin, now));
  if (write(*user, std::move(change)) != Outcome::durable) return tl::unexpected(Refusal::store_unavailable);
  stages_.confirmed(id);
  return Confirmation{.accepted = true, .clock_offset_s = std::nullopt, .device = view(*user, at, now)};
}

Answer<Confirmation> Registrar::refuse_confirmation(LoadedUser& user, std::size_t at, Code code, const Origin& origin,
                                                    UnixMillis now) {
  DeviceRecord& device = user.record.devices[at];
  ++device.failed_confirmations;
  const std::int64_t period_s = device.parameters.period_s;
  const std::int64_t now_step = step_at(now, device.parameters.period_s);
  const Window window = around(now_step, clock_help_s / period_s);
  const std::vector<std::uint32_t> values = codes(kernel_, device, window.first, window.count);
  const std::int64_t usual = policy_.copy().registration_window_steps;
  std::optional<std::int64_t> offset_s;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::int64_t offset = window.first + static_cast<std::int64_t>(i) - now_step;
    if (values[i] != code.value || std::abs(offset) <= usual) continue;
    if (!offset_s || std::abs(offset * period_s) < std::abs(*offset_s)) offset_s = offset * period_s;
  }
  Confirmation refused{.accepted = false, .clock_offset_s = offset_s, .device = view(user, at, now)};
  Change change;
  change.audit.push_back(entry("device.confirm", user.record.user, device.id, R"({"result":"rejected"})", origin, now));
  const bool void_now = device.failed_confirmations >= failed_confirmations_max;
  const DeviceId id = device.id;
  if (write(user, std::move(change)) != Outcome::durable) return tl::unexpected(Refusal::store_unavailable);
  if (void_now) stages_.expired(id);
  return refused;
}

namespace {

// Applies `step` (ThrottleWord -> optional ThrottleWord) to the resident word; nullopt where step refuses or nobody is
// resident.
template <class Step>
std::optional<ThrottleWord> change_throttle(Directory& directory, std::string_view user, Step step) {
  const ReadScope scope;
  for (;;) {
    ResidentUser* const resident = directory.find(user, hash_user(user));
    if (resident == nullptr) return std::nullopt;
    std::uint64_t word = resident->throttle.word();
    if (!ThrottleWord{word}.frozen()) {
      const std::optional<ThrottleWord> next = step(ThrottleWord{word});
      if (!next) return std::nullopt;
      if (resident->throttle.exchange_word(word, next->bits)) return next;
    }
    sched_yield();
  }
}

// The same for the replay word of a device; with the word goes the receipt of what it last accepted.
template <class Step>
std::optional<ReplayWord> change_replay(Directory& directory, std::string_view user, DeviceId id, Step step) {
  const ReadScope scope;
  for (;;) {
    ResidentUser* const resident = directory.find(user, hash_user(user));
    if (resident == nullptr) return std::nullopt;
    ResidentDevice* const end = resident->devices() + resident->device_count;
    ResidentDevice* const device =
        std::find_if(resident->devices(), end, [id](const ResidentDevice& one) { return one.id == id.value; });
    if (device == end) return std::nullopt;
    const CellValue held = device->replay.load();
    if (!ReplayWord{held.word}.frozen()) {
      const std::optional<ReplayWord> next = step(ReplayWord{held.word});
      if (!next) return std::nullopt;
      if (device->replay.exchange(held, {next->bits, 0})) return next;
    }
    sched_yield();
  }
}

}  // namespace

std::string_view to_string(Resynced::Kind kind) {
  switch (kind) {
    case Resynced::Kind::accepted:
      return "accepted";
    case Resynced::Kind::rejected:
      return "rejected";
    case Resynced::Kind::replayed:
      return "replayed";
    case Resynced::Kind::locked:
      return "locked";
  }
  return "rejected";
}

Answer<UserView> Registrar::unlock(const UserName& name, const Origin& origin, UnixMillis now) {
  const auto held = lock(name.text());
  std::optional<LoadedUser> user = find(name.text());
  if (!user) return tl::unexpected(Refusal::user_not_found);
  if (!directory_.resident(name.text())) publish(*user);
  const std::optional<ThrottleWord> word =
      change_throttle(directory_, name.text(), [](ThrottleWord old) { return std::optional(clear(old)); });
  if (!word) return tl::unexpected(Refusal::store_unavailable);
  user->throttle = {word->bits, 0};
  Change change;
  change.cells.push_back({{user->record.number, throttle_slot}, user->throttle});
  change.audit.push_back(entry("user.unlock", name.text(), {}, {}, origin, now));
  if (committer_.commit(change) != Outcome::durable) return tl::unexpected(Refusal::store_unavailable);
  return view(*user, now);
}

Answer<Resynced> Registrar::resync(const UserName& name, DeviceId id, Code code1, Code code2, const Origin& origin,
                                   UnixMillis now) {
  const Policy policy = policy_.copy();
  const auto held = lock(name.text());
  std::optional<LoadedUser> user = find(name.text());
  if (!user) return tl::unexpected(Refusal::user_not_found);
  auto& devices = user->record.devices;
  const auto found = std::find_if(devices.begin(), devices.end(), [&](const auto& device) { return device.id == id; });
  if (found == devices.end()) return tl::unexpected(Refusal::device_not_found);
  const auto at = static_cast<std::size_t>(found - devices.begin());
  if (found->status != DeviceStatus::active || !found->enabled) return tl::unexpected(Refusal::not_active);
  if (code1.digits != found->parameters.digits || code2.digits != found->parameters.digits) {
    return tl::unexpected(Refusal::code_length);
  }
  if (!store_.writable()) return tl::unexpected(Refusal::store_unavailable);
  if (!directory_.resident(name.text())) publish(*user);

  // Two codes, one guess, and it is charged like any other.
  const std::optional<ThrottleWord> charged =
      change_throttle(directory_, name.text(), [&](ThrottleWord word) { return charge(word, now, policy.lockout); });
  if (!charged) {
    freshen(*user);
    const Lock lock = locked(ThrottleWord{user->throttle.word}, now, policy.lockout).value_or(Lock{});
    return Resynced{Resynced::Kind::locked, 0, lock.retry_after_s, view(*user, at, now)};
  }

  const StepTime step_time = step_time_at(now, found->parameters.period_s);
  const Window window = around(step_time.step(), static_cast<std::int64_t>(policy.max_drift_steps) + 1);
  const std::vector<std::uint32_t> values = codes(kernel_, *found, window.first, window.count);
  std::int64_t second_step = -1;
  for (std::size_t i = 0; i + 1 < values.size(); ++i) {
    if (values[i] == code1.value && values[i + 1] == code2.value)
      second_step = window.first + static_cast<std::int64_t>(i) + 1;
  }
  const bool in_range =
      second_step >= 0 && std::abs(second_step - step_time.step()) <= static_cast<std::int64_t>(policy.max_drift_steps);

  Resynced answer{Resynced::Kind::rejected, 0, 0, {}};
  Change change;
  ThrottleWord throttle = *charged;
  if (in_range) {
    answer.kind = Resynced::Kind::replayed;
    const bool fenced = second_step - 1 <= fenced_step(fence(), found->parameters.period_s, policy);
    const auto word = fenced ? std::nullopt : change_replay(directory_, name.text(), id, [&](ReplayWord old) {
      return engine::resync(old, second_step, step_time, static_cast<int>(policy.max_drift_steps));
    });
    if (word) {
      answer.kind = Resynced::Kind::accepted;
      answer.drift_steps = word->drift_steps();
      user->replay[at] = {word->bits, 0};
      change.cells.push_back({{user->record.number, found->slot}, user->replay[at]});
    }
  }
  if (answer.kind != Resynced::Kind::rejected) {
    const bool accepted = answer.kind == Resynced::Kind::accepted;
    throttle = change_throttle(directory_, name.text(), [&](ThrottleWord word) {
                 return std::optional(accepted ? clear(word) : refund(word, *charged));
               }).value_or(throttle);
  }
  change.cells.push_back({{user->record.number, throttle_slot}, {throttle.bits, 0}});
  change.audit.push_back(entry("device.resync", name.text(), id,
                               R"({"result":")" + std::string(to_string(answer.kind)) + R"("})", origin, now));
  if (committer_.commit(change) != Outcome::durable) return tl::unexpected(Refusal::store_unavailable);
  if (const auto lock = locked(throttle, now, policy.lockout)) answer.retry_after_s = lock->retry_after_s;
  answer.device = view(*user, at, now);
  return answer;
}

}  // namespace watchword::engine
