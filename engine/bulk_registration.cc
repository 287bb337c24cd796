#include "engine/bulk_registration.h"

#include <algorithm>

#include "engine/directory.h"
#include "engine/retired_secrets.h"
#include "engine/words.h"

namespace watchword::engine {
namespace {

constexpr std::size_t rows_per_batch = 2048;

std::optional<Refusal> fault_of(const UserRecord& user, const BulkRow& row, const BulkRegistration::Options& options) {
  if (!valid(row.parameters)) return Refusal::bad_parameters;
  if (row.secret.size() < options.secret_bytes_min) return Refusal::secret_too_short;
  if (row.secret.size() > secret_bytes_max) return Refusal::secret_too_long;
  for (const DeviceRecord& device : user.devices) {
    if (device.secret.bytes() == row.secret.bytes()) return Refusal::secret_registered;
    if (device.name == row.name) return Refusal::name_taken;
  }
  const auto active = std::count_if(user.devices.begin(), user.devices.end(),
                                    [](const DeviceRecord& device) { return device.status == DeviceStatus::active; });
  if (static_cast<unsigned>(active) >= options.devices_max) return Refusal::device_limit;
  return std::nullopt;
}

}  // namespace

BulkRegistration::BulkRegistration(Store& store, Options options, UnixMillis now)
    : store_(store), options_(options), now_(now) {
  store_was_empty_ = store_.list("", "", 1).users.empty();
  secrets_were_retired_ = !store_.documents(retired_secret_prefix).empty();
  batch_.reserve(rows_per_batch);
}

// In the batch, in the store, or new. A new one without a device is not written.
UserRecord& BulkRegistration::record_of(const UserName& user) {
  const auto [at, is_new] = position_.try_emplace(user.text(), batch_.size());
  if (!is_new) return batch_[at->second];
  UserRecord record;
  if (!store_was_empty_ || written_.contains(hash_user(user.text()))) {
    if (std::optional<LoadedUser> loaded = store_.load(user.text())) record = std::move(loaded->record);
  }
  if (record.number == UserNumber{}) {
    record.user = user.text();
    record.created_at_s = now_.seconds();
  }
  batch_.push_back(std::move(record));
  return batch_.back();
}

std::optional<Refusal> BulkRegistration::add(BulkRow row) {
  if (batch_.size() >= rows_per_batch) write_out();
  UserRecord& user = record_of(row.user);
  if (const auto fault = fault_of(user, row, options_)) return fault;
  if (user.number == UserNumber{}) {
    user.number = store_.allocate_number(user.user);
    ++new_users_;
  }
  DeviceRecord device;
  device.id = DeviceId{random_nonzero_u64()};
  device.slot = user.next_slot++;
  device.name = std::move(row.name);
  device.parameters = row.parameters;
  device.status = DeviceStatus::active;
  device.created_at_s = now_.seconds();
  device.confirmed_at_s = now_.seconds();
  device.secret = std::move(row.secret);
  if (secrets_were_retired_) recall_used_steps(user, device);
  user.devices.push_back(std::move(device));
  ++devices_;
  return std::nullopt;
}

// Durable before the row is.
void BulkRegistration::recall_used_steps(const UserRecord& record, const DeviceRecord& device) {
  const auto note = store_.document(retired_secret_name(store_.hash_key(), device.secret));
  if (!note) return;
  const std::int64_t step = RetiredSecret::parse(*note).last_step;
  const CellWrite cell{{record.number, device.slot}, {ReplayWord::make(step, 0).bits, 0}};
  Outcome outcome = Outcome::failed;
  store_.advance({&cell, 1}, {}, {&outcome, 1}, {});
  if (outcome != Outcome::durable) throw StoreError("the store takes no writes: " + store_.health().reason);
}

void BulkRegistration::write_out() {
  std::erase_if(batch_, [](const UserRecord& user) { return user.number == UserNumber{}; });
  for (UserRecord& user : batch_) {
    ++user.version;
    written_.insert(hash_user(user.user));
  }
  if (!batch_.empty()) store_.put_bulk(batch_);
  batch_.clear();
  position_.clear();
}

void BulkRegistration::finish() {
  write_out();
  store_.finish_bulk();
}

}  // namespace watchword::engine
