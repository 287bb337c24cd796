// The registrar's calls about recovery codes. The slow hash is computed while no lock is held: what was read before it is
// read again after it.
#include <openssl/rand.h>
#include <sched.h>

#include <algorithm>
#include <stdexcept>

#include "engine/registrar.h"
#include "engine/words.h"

namespace watchword::engine {
namespace {

// As in the verifier: the low bit of a refusal's receipt tells which refusal it was.
constexpr std::uint64_t replayed_mark = 1;

RecoverySalt new_salt() {
  RecoverySalt salt;
  if (RAND_bytes(salt.data(), static_cast<int>(salt.size())) != 1) throw std::runtime_error("no random numbers");
  return salt;
}

bool usable(const DeviceRecord& device) {
  return device.status == DeviceStatus::active && device.enabled;
}

std::string lock_detail(const RecoveryUse& use) {
  return R"({"hard":)" + std::string(use.hard_locked ? "true" : "false") + R"(,"retry_after_s":)" +
         std::to_string(use.retry_after_s) + "}";
}

// The recorded answer to this very request, if there is one.
std::optional<RecoveryUse> recall(const LoadedUser& user, const RecoverySet& set, std::uint64_t receipt, UnixMillis now) {
  if (receipt == 0) return std::nullopt;
  for (const RecoverySet::Entry& entry : set.entries) {
    if (entry.used_at_s == 0 || entry.receipt != receipt || now.seconds() - entry.used_at_s > receipt_lifetime_s) continue;
    return RecoveryUse{.result = Result::accepted, .repeated = true, .left = set.left()};
  }
  if ((user.throttle.receipt & ~replayed_mark) != receipt) return std::nullopt;
  const bool replayed = (user.throttle.receipt & replayed_mark) != 0;
  return RecoveryUse{.result = replayed ? Result::replayed : Result::rejected, .repeated = true};
}

}  // namespace

RecoverySet Registrar::recovery_set(UserNumber user) {
  const std::optional<std::string> text = store_.document(RecoverySet::document_name(user.value));
  if (!text) return {};
  try {
    return RecoverySet::parse(*text);
  } catch (const std::exception& fault) {
    throw StoreError(std::string("recovery codes cannot be read: ") + fault.what());
  }
}

// Applies `step` (CellValue -> optional CellValue) to the user's resident throttle cell, both halves at once; nullopt where
// step refuses. The user's stripe is held and the user resident, so the user stays.
template <class Step>
std::optional<CellValue> Registrar::change_throttle_cell(const LoadedUser& user, Step step) {
  if (!directory_.resident(user.record.user)) publish(user);
  const ReadScope scope;
  for (;;) {
    ResidentUser* const resident = directory_.find(user.record.user, hash_user(user.record.user));
    if (resident == nullptr) return std::nullopt;
    const CellValue held = resident->throttle.load();
    if (!ThrottleWord{held.word}.frozen()) {
      const std::optional<CellValue> next = step(held);
      if (!next) return std::nullopt;
      if (resident->throttle.exchange(held, *next)) return next;
    }
    sched_yield();
  }
}

bool Registrar::write_throttle(const LoadedUser& user, const CellValue& value, Change change) {
  change.cells.push_back({{user.record.number, throttle_slot}, value});
  return committer_.commit(change) == Outcome::durable;
}

Answer<std::vector<std::string>> Registrar::make_recovery_codes(const UserName& name, const Origin& origin, UnixMillis now) {
  {
    const auto held = lock(name.text());
    if (!store_.load(name.text())) return tl::unexpected(Refusal::user_not_found);
  }
  RecoverySet set;
  set.made_at_s = now.seconds();
  set.salt = new_salt();
  std::vector<std::string> texts;
  while (texts.size() < recovery_codes_in_set) {
    const RecoveryCode code = RecoveryCode::random();
    const RecoveryHash hash = hash_recovery_code(code, set.salt);
    if (set.find(hash) != nullptr) continue;
    set.entries.push_back({.hash = hash});
    texts.push_back(code.text());
  }
  const auto held = lock(name.text());
  const std::optional<LoadedUser> user = store_.load(name.text());
  if (!user) return tl::unexpected(Refusal::user_not_found);
  Change change;
  change.put_documents.emplace_back(RecoverySet::document_name(user->record.number.value), set.text());
  change.audit.push_back(
      entry("recovery_codes.make", name.text(), {}, R"({"codes":)" + std::to_string(texts.size()) + "}", origin, now));
  if (committer_.commit(change) != Outcome::durable) return tl::unexpected(Refusal::store_unavailable);
  return texts;
}

Answer<RecoveryUse> Registrar::use_recovery_code(const UserName& name, const RecoveryCode& code, std::uint64_t receipt,
                                                 const Origin& origin, UnixMillis now) {
  const Lockout lockout = policy_.copy().lockout;
  if (!store_.writable()) return tl::unexpected(Refusal::store_unavailable);
  UserNumber number;
  RecoverySet before;
  CellValue charged;
  {
    const auto held = lock(name.text());
    const std::optional<LoadedUser> user = find(name.text());
    if (!user) return RecoveryUse{};
    number = user->record.number;
    before = recovery_set(number);
    if (const auto repeated = recall(*user, before, receipt, now)) return *repeated;
    const auto& devices = user->record.devices;
    if (before.entries.empty() && std::none_of(devices.begin(), devices.end(), usable)) return RecoveryUse{};
    std::optional<Lock> refused;
    const auto next = change_throttle_cell(*user, [&](CellValue old) -> std::optional<CellValue> {
      refused = recovery_locked(ThrottleWord{old.word}, now, lockout);
      const auto word = charge_recovery(ThrottleWord{old.word}, now, lockout);
      return word ? std::optional(CellValue{word->bits, old.receipt}) : std::nullopt;
    });
    if (!next) {
      const Lock lock = refused.value_or(Lock{});
      return RecoveryUse{.result = Result::locked, .hard_locked = lock.hard, .retry_after_s = lock.retry_after_s};
    }
    charged = *next;
    if (!write_throttle(*user, charged)) return tl::unexpected(Refusal::store_unavailable);
  }

  const RecoveryHash hash = before.entries.empty() ? RecoveryHash{} : hash_recovery_code(code, before.salt);

  const auto held = lock(name.text());
  const std::optional<LoadedUser> user = find(name.text());
  if (!user || user->record.number != number) return RecoveryUse{};
  RecoverySet set = recovery_set(number);
  const bool void_by_now = set.salt != before.salt;
  RecoverySet::Entry* const entry = void_by_now || set.entries.empty() ? nullptr : set.find(hash);

  if (entry != nullptr && entry->used_at_s == 0) {
    entry->used_at_s = std::max<std::int64_t>(1, now.seconds());
    entry->receipt = receipt;
    const auto cleared = change_throttle_cell(*user, [](CellValue old) {
      return std::optional(CellValue{clear(ThrottleWord{old.word}).bits, old.receipt});
    });
    Change change;
    change.put_documents.emplace_back(RecoverySet::document_name(number.value), set.text());
    change.audit.push_back(this->entry("recovery_codes.use", name.text(), {},
                                       R"({"result":"accepted","left":)" + std::to_string(set.left()) + "}", origin, now));
    if (!cleared || !write_throttle(*user, *cleared, std::move(change))) return tl::unexpected(Refusal::store_unavailable);
    return RecoveryUse{.result = Result::accepted, .left = set.left()};
  }

  // A used code is no guess: its charge is taken back. So is that of a request which was answered while this one waited.
  const bool again = entry != nullptr && receipt != 0 && entry->receipt == receipt;
  RecoveryUse use{.result = again ? Result::accepted : entry != nullptr ? Result::replayed : Result::rejected};
  use.repeated = again;
  if (again) use.left = set.left();
  const auto settled = change_throttle_cell(*user, [&](CellValue old) -> std::optional<CellValue> {
    const ThrottleWord word{old.word};
    const ThrottleWord next = entry != nullptr
                                  ? refund(word, ThrottleWord{charged.word})
                                  : ThrottleWord::make(word.failures(), word.locked_until_ds(), word.next_version());
    const std::uint64_t mark = entry != nullptr ? receipt | replayed_mark : receipt;
    return CellValue{next.bits, receipt == 0 || again ? old.receipt : mark};
  });
  Change change;
  if (use.result == Result::rejected) {
    const ThrottleWord word{charged.word};
    use.hard_locked = word.failures() >= lockout.hard_failures;
    if (const auto lock = recovery_locked(word, now, lockout)) use.retry_after_s = lock->retry_after_s;
    change.audit.push_back(this->entry("recovery_codes.use", name.text(), {}, R"({"result":"rejected"})", origin, now));
    // Beyond the hard limit a wrong code only holds up the next one: that lock stood before.
    const bool begins = use.hard_locked ? word.failures() == lockout.hard_failures : use.retry_after_s > 0;
    if (begins) change.audit.push_back(this->entry("user.lock", name.text(), {}, lock_detail(use), origin, now));
  }
  if (!settled || !write_throttle(*user, *settled, std::move(change))) return tl::unexpected(Refusal::store_unavailable);
  return use;
}

}  // namespace watchword::engine
