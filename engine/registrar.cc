#include "engine/registrar.h"

#include <algorithm>

#include "engine/otpauth_uri.h"
#include "engine/registration_rules.h"
#include "engine/words.h"

namespace watchword::engine {
namespace {

// Returns which they were.
std::vector<DeviceId> drop_oldest_pending(LoadedUser& user) {
  std::vector<DeviceId> dropped;
  while (count(user.record, DeviceStatus::pending) >= pending_devices_max) {
    for (std::size_t i = 0; i < user.record.devices.size(); ++i) {
      if (user.record.devices[i].status != DeviceStatus::pending) continue;
      dropped.push_back(user.record.devices[i].id);
      drop(user, i);
      break;
    }
  }
  return dropped;
}

// A number is never given twice, so a user who is removed and comes back has other tags.
std::string tag_of(const UserRecord& record) {
  return std::to_string(record.number.value) + "." + std::to_string(record.version);
}

bool still(const UserRecord& record, const Registrar::SeenTags& seen) {
  return !seen || std::find(seen->begin(), seen->end(), tag_of(record)) != seen->end();
}

OtpParameters parameters_of(const NewDevice& device, const Policy& policy) {
  return {.algorithm = device.algorithm.value_or(policy.defaults.algorithm),
          .digits = device.digits.value_or(policy.defaults.digits),
          .period_s = device.period_s.value_or(policy.defaults.period_s)};
}

// Who was withdrawn comes back unless they are gone for good: the store may not know yet what their words came to.
template <class Action>
class PutBack {
 public:
  explicit PutBack(Action action) : action_(std::move(action)) {}
  ~PutBack() {
    if (armed_) action_();
  }
  PutBack(const PutBack&) = delete;
  PutBack& operator=(const PutBack&) = delete;
  void dismiss() { armed_ = false; }

 private:
  Action action_;
  bool armed_ = true;
};

std::string uri_of(const std::string& user, const DeviceRecord& device, const std::string& issuer) {
  return make_otpauth_uri({.issuer = issuer, .account = user, .secret = device.secret, .parameters = device.parameters});
}

}  // namespace

bool same_codes(const DeviceRecord& device, const OtpParameters& parameters, const SecretBytes& secret) {
  if (device.secret.bytes() == secret.bytes()) return true;
  const Algorithm algorithm = parameters.algorithm;
  return device.parameters.algorithm == algorithm &&
         key_state(algorithm, device.secret).bytes() == key_state(algorithm, secret).bytes();
}

AuditEntry Registrar::entry(std::string_view action, std::string_view user, DeviceId device, std::string detail,
                            const Origin& origin, UnixMillis now) {
  return {.at = now,
          .origin = origin,
          .action = std::string(action),
          .user = std::string(user),
          .device = device.value == 0 ? std::string() : device.text(),
          .detail = std::move(detail)};
}

Registrar::Registrar(Store& store, Committer& committer, Directory& directory, UserStripes& stripes, MemoryCap& memory,
                     PolicyBox& policy, const HmacKernel& kernel)
    : store_(store),
      committer_(committer),
      directory_(directory),
      stripes_(stripes),
      memory_(memory),
      policy_(policy),
      kernel_(kernel) {}

std::unique_lock<std::mutex> Registrar::lock(std::string_view user) {
  return stripes_.lock(hash_user(user));
}

std::optional<LoadedUser> Registrar::find(std::string_view user) {
  std::optional<LoadedUser> loaded = store_.load(user);
  if (loaded) {
    loaded->replay.resize(loaded->record.devices.size());
    freshen(*loaded);
  }
  return loaded;
}

// Memory knows what the store does not hold yet.
void Registrar::freshen(LoadedUser& user) {
  const ReadScope scope;
  ResidentUser* const resident = directory_.find(user.record.user, hash_user(user.record.user));
  if (resident == nullptr || resident->number != user.record.number.value) return;
  const auto thaw = [](CellValue value) { return CellValue{value.word & ~ReplayWord::frozen_bit, value.receipt}; };
  user.throttle = thaw(resident->throttle.load());
  for (std::size_t i = 0; i < user.record.devices.size(); ++i) {
    for (std::size_t k = 0; k < resident->device_count; ++k) {
      ResidentDevice& device = resident->devices()[k];
      if (device.id != user.record.devices[i].id.value) continue;
      user.replay[i] = newer(device.slot, user.replay[i], thaw(device.replay.load()));
    }
  }
}

// The row and what goes with it become durable together; then, and only then, memory follows.
Outcome Registrar::write(LoadedUser& user, Change change) {
  ++user.record.version;
  change.put_users.push_back(user.record);
  const Outcome outcome = committer_.commit(change);
  if (outcome == Outcome::durable) publish(user);
  return outcome;
}

// What is on disk must be in memory too, or memory would go on accepting what is gone: without memory for that, the process
// ends.
void Registrar::publish(const LoadedUser& user) noexcept {
  directory_.put(user);
  memory_.look(hash_user(user.record.user));
}

// Out of memory, with what its words came to: nothing is accepted any more, so nothing can be accepted after a note of it
// was taken. Whoever verifies meanwhile waits in load() for this user's stripe.
void Registrar::withdraw(LoadedUser& user) {
  const std::optional<LastWords> last = directory_.take(user.record.user);
  if (!last || last->number != user.record.number) return;
  user.throttle = last->throttle;
  for (std::size_t i = 0; i < user.record.devices.size(); ++i) {
    for (const auto& [id, value] : last->replay) {
      const DeviceRecord& device = user.record.devices[i];
      if (device.id == id) user.replay[i] = newer(device.slot, user.replay[i], value);
    }
  }
}

DeviceView Registrar::view(const LoadedUser& user, std::size_t at, UnixMillis) {
  const DeviceRecord& device = user.record.devices[at];
  const ReplayWord word{user.replay[at].word};
  return {.id = device.id,
          .name = device.name,
          .parameters = device.parameters,
          .status = device.status,
          .enabled = device.enabled,
          .created_at_s = device.created_at_s,
          .confirmed_at_s = device.confirmed_at_s,
          .expires_at_s = device.status == DeviceStatus::pending ? device.expires_at_s : 0,
          .last_used_at_s = word.used() ? word.last_step() * device.parameters.period_s : 0,
          .drift_steps = word.drift_steps(),
          .tag = tag_of(user.record)};
}

UserView Registrar::view(const LoadedUser& user, UnixMillis now) {
  UserView view;
  view.user = user.record.user;
  view.created_at_s = user.record.created_at_s;
  view.version = user.record.version;
  view.tag = tag_of(user.record);
  const ThrottleWord throttle{user.throttle.word};
  view.failures = throttle.failures();
  if (const std::optional<Lock> lock = engine::locked(throttle, now, policy_.copy().lockout)) {
    view.locked = true;
    view.hard_locked = lock->hard;
    view.retry_after_s = lock->retry_after_s;
  }
  view.recovery_codes_left = recovery_set(user.record.number).left();
  for (std::size_t i = 0; i < user.record.devices.size(); ++i) {
    if (!expired(user.record.devices[i], now)) view.devices.push_back(this->view(user, i, now));
  }
  return view;
}

Answer<BegunRegistration> Registrar::begin(const UserName& name, const NewDevice& wanted, const Origin& origin,
                                           UnixMillis now) {
  const Policy policy = policy_.copy();
  const OtpParameters parameters = parameters_of(wanted, policy);
  if (!valid(parameters)) return tl::unexpected(Refusal::bad_parameters);
  if (wanted.secret && wanted.secret->size() < secret_bytes_min) return tl::unexpected(Refusal::secret_too_short);
  if (wanted.secret && wanted.secret->size() > secret_bytes_max) return tl::unexpected(Refusal::secret_too_long);

  const auto held = lock(name.text());
  std::optional<LoadedUser> user = find(name.text());
  if (!user) {
    user.emplace();
    user->record.user = name.text();
    user->record.number = store_.allocate_number(name.text());
    user->record.created_at_s = now.seconds();
  }
  drop_expired(*user, now);
  if (name_in_use(user->record, wanted.name, {}, now)) return tl::unexpected(Refusal::name_taken);
  if (count(user->record, DeviceStatus::active) >= policy.max_devices_per_user) {
    return tl::unexpected(Refusal::device_limit);
  }
  if (wanted.secret) {
    for (const DeviceRecord& device : user->record.devices) {
      if (same_codes(device, parameters, *wanted.secret)) return tl::unexpected(Refusal::secret_registered);
    }
  }
  const std::vector<DeviceId> replaced = drop_oldest_pending(*user);

  DeviceRecord device;
  device.id = new_device_id(user->record);
  device.slot = user->record.next_slot++;
  device.name = wanted.name;
  device.parameters = parameters;
  device.created_at_s = now.seconds();
  device.expires_at_s = now.seconds() + policy.pending_expires_s;
  device.secret = wanted.secret ? *wanted.secret : SecretBytes::random(made_secret_bytes(parameters.algorithm));
  user->record.devices.push_back(device);
  user->replay.emplace_back();
  Change change;
  change.audit.push_back(
      entry("device.begin", name.text(), device.id, R"({"name":)" + json_quoted(device.name) + "}", origin, now));
  if (write(*user, std::move(change)) != Outcome::durable) return tl::unexpected(Refusal::store_unavailable);
  for (const DeviceId id : replaced) stages_.expired(id);
  stages_.begun(device.id, device.expires_at_s, now);
  return BegunRegistration{.device = view(*user, user->record.devices.size() - 1, now),
                           .secret = device.secret,
                           .otpauth_uri = uri_of(name.text(), device, policy.issuer)};
}

namespace {

// Position of the device in the row, with the refusals that every call about one device shares.
Answer<std::size_t> position(const std::optional<LoadedUser>& user, DeviceId id) {
  if (!user) return tl::unexpected(Refusal::user_not_found);
  const auto& devices = user->record.devices;
  const auto at = std::find_if(devices.begin(), devices.end(), [&](const auto& device) { return device.id == id; });
  if (at == devices.end()) return tl::unexpected(Refusal::device_not_found);
  return static_cast<std::size_t>(at - devices.begin());
}

}  // namespace

Answer<std::string> Registrar::pending_uri(const UserName& name, DeviceId id, UnixMillis now) {
  const auto held = lock(name.text());
  const std::optional<LoadedUser> user = find(name.text());
  const Answer<std::size_t> at = position(user, id);
  if (!at) return tl::unexpected(at.error());
  const DeviceRecord& device = user->record.devices[*at];
  if (device.status != DeviceStatus::pending) return tl::unexpected(Refusal::not_pending);
  if (expired(device, now)) return tl::unexpected(Refusal::expired);
  return uri_of(name.text(), device, policy_.copy().issuer);
}

Answer<UserView> Registrar::get(const UserName& name, UnixMillis now) {
  const auto held = lock(name.text());
  const std::optional<LoadedUser> user = find(name.text());
  if (!user) return tl::unexpected(Refusal::user_not_found);
  return view(*user, now);
}

Answer<DeviceView> Registrar::patch(const UserName& name, DeviceId id, const DevicePatch& patch, const Origin& origin,
                                    UnixMillis now, const SeenTags& seen) {
  const auto held = lock(name.text());
  std::optional<LoadedUser> user = find(name.text());
  const Answer<std::size_t> at = position(user, id);
  if (!at) return tl::unexpected(at.error());
  if (!still(user->record, seen)) return tl::unexpected(Refusal::changed_meanwhile);
  DeviceRecord& device = user->record.devices[*at];
  if (expired(device, now)) return tl::unexpected(Refusal::expired);
  if (patch.enabled && device.status != DeviceStatus::active) return tl::unexpected(Refusal::not_active);
  if (patch.name && name_in_use(user->record, *patch.name, id, now)) return tl::unexpected(Refusal::name_taken);
  Change change;
  if (patch.name && device.name != *patch.name) {
    change.audit.push_back(entry("device.rename", name.text(), id,
                                 R"({"old":)" + json_quoted(device.name) + R"(,"new":)" + json_quoted(*patch.name) + "}",
                                 origin, now));
  }
  if (patch.enabled && device.enabled != *patch.enabled) {
    change.audit.push_back(entry(*patch.enabled ? "device.enable" : "device.disable", name.text(), id, {}, origin, now));
  }
  if (change.audit.empty()) return view(*user, *at, now);
  if (patch.name) device.name = *patch.name;
  if (patch.enabled) device.enabled = *patch.enabled;
  if (write(*user, std::move(change)) != Outcome::durable) return tl::unexpected(Refusal::store_unavailable);
  return view(*user, *at, now);
}

Answer<std::monostate> Registrar::remove(const UserName& name, DeviceId id, const Origin& origin, UnixMillis now,
                                         const SeenTags& seen) {
  const auto held = lock(name.text());
  std::optional<LoadedUser> user = find(name.text());
  const Answer<std::size_t> at = position(user, id);
  if (!at) return tl::unexpected(at.error());
  if (!still(user->record, seen)) return tl::unexpected(Refusal::changed_meanwhile);
  withdraw(*user);
  const LoadedUser before = *user;
  PutBack put_back([&] { publish(before); });
  const DeviceRecord& device = before.record.devices[*at];
  Change change = retirement(device, user->replay[*at], now);
  change.erase_cells.push_back({user->record.number, device.slot});
  change.audit.push_back(
      entry("device.remove", name.text(), id, R"({"name":)" + json_quoted(device.name) + "}", origin, now));
  drop(*user, *at);
  if (write(*user, std::move(change)) != Outcome::durable) return tl::unexpected(Refusal::store_unavailable);
  stages_.removed(id);
  put_back.dismiss();
  return std::monostate{};
}

Answer<std::monostate> Registrar::remove_user(const UserName& name, const Origin& origin, UnixMillis now,
                                              const SeenTags& seen) {
  const auto held = lock(name.text());
  std::optional<LoadedUser> user = find(name.text());
  if (!user) return tl::unexpected(Refusal::user_not_found);
  if (!still(user->record, seen)) return tl::unexpected(Refusal::changed_meanwhile);
  withdraw(*user);
  PutBack put_back([&] { publish(*user); });
  Change change;
  for (std::size_t i = 0; i < user->record.devices.size(); ++i) {
    Change retired = retirement(user->record.devices[i], user->replay[i], now);
    std::move(retired.put_documents.begin(), retired.put_documents.end(), std::back_inserter(change.put_documents));
    std::move(retired.erase_documents.begin(), retired.erase_documents.end(), std::back_inserter(change.erase_documents));
  }
  // A note that one device of theirs renews is not erased on account of another.
  for (const auto& [kept, text] : change.put_documents) std::erase(change.erase_documents, kept);
  change.erase_documents.push_back(RecoverySet::document_name(user->record.number.value));
  change.erase_users.emplace_back(name.text(), user->record.number);
  change.audit.push_back(entry("user.remove", name.text(), {},
                               R"({"devices":)" + std::to_string(user->record.devices.size()) + "}", origin, now));
  if (committer_.commit(change) != Outcome::durable) return tl::unexpected(Refusal::store_unavailable);
  for (const DeviceRecord& device : user->record.devices) stages_.removed(device.id);
  put_back.dismiss();
  return std::monostate{};
}

bool Registrar::load(std::string_view name) {
  if (!memory_.make_room(hash_user(name))) throw StoreError("memory is full, and nobody in it can be let go");
  const auto held = lock(name);
  if (directory_.resident(name)) return true;
  std::optional<LoadedUser> user = store_.load(name);
  if (!user) return false;
  user->replay.resize(user->record.devices.size());
  publish(*user);
  loads_.fetch_add(1, std::memory_order_relaxed);
  return true;
}

}  // namespace watchword::engine
