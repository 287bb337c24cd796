#include "engine/bulk_registration.h"

#include <cstring>

#include "engine/directory.h"
#include "engine/registration_rules.h"
#include "engine/retired_secrets.h"
#include "engine/words.h"

namespace watchword::engine {
BulkRegistration::BulkRegistration(Store& store, Options options, UnixMillis now)
    : store_(store), options_(options), now_(now) {
  store_was_empty_ = store_.list("", "", 1).users.empty();
  secrets_were_retired_ = !store_.documents(retired_secret_prefix).empty();
  batch_.reserve(users_per_batch);
}

BulkRegistration::~BulkRegistration() {
  if (written_out_.valid()) written_out_.wait();
}

// In the batch, in the store, or new. Whom no row changes is not written.
BulkRegistration::Person& BulkRegistration::person_of(const UserName& user) {
  const std::uint64_t hash = hash_user(user.text());
  std::size_t slot = hash % position_.size();
  for (; position_[slot] != 0; slot = (slot + 1) % position_.size()) {
    Person& there = batch_[position_[slot] - 1u];
    if (hashes_[position_[slot] - 1u] == hash && there.record.user == user.text()) return there;
  }
  batch_.push_back({.record = from_store(user, hash)});
  hashes_.push_back(hash);
  position_[slot] = static_cast<std::uint16_t>(batch_.size());
  return batch_.back();
}

UserRecord BulkRegistration::from_store(const UserName& user, std::uint64_t hash) {
  if (!store_was_empty_ || written_.may_contain(hash)) {
    wait_for_batch();
    if (std::optional<LoadedUser> loaded = store_.load(user.text())) {
      drop_expired(*loaded, now_);
      return std::move(loaded->record);
    }
  }
  UserRecord fresh;
  fresh.user = user.text();
  fresh.created_at_s = now_.seconds();
  return fresh;
}

Answer<Imported> BulkRegistration::add(BulkRow row) {
  if (batch_.size() >= users_per_batch) write_out();
  Person& person = person_of(row.user);
  UserRecord& user = person.record;
  if (is_present(user, row)) return Imported::present;
  if (const auto fault = import_fault(user, row, options_.secret_bytes_min, options_.devices_max)) {
    return tl::unexpected(*fault);
  }
  if (user.number == UserNumber{}) {
    user.number = store_.allocate_number(user.user);
    ++new_users_;
  }
  DeviceRecord device;
  device.id = draw_id();
  device.slot = user.next_slot++;
  device.name = std::move(row.name);
  device.parameters = row.parameters;
  device.status = DeviceStatus::active;
  device.created_at_s = now_.seconds();
  device.confirmed_at_s = now_.seconds();
  device.secret = std::move(row.secret);
  if (secrets_were_retired_) recall_used_steps(user, device);
  user.devices.push_back(std::move(device));
  person.changed = true;
  ++devices_;
  return Imported::added;
}

// Drawn many at a time: the generator's price is by the call.
DeviceId BulkRegistration::draw_id() {
  while (true) {
    if (ids_left_ == 0) {
      const SecretBytes drawn = SecretBytes::random(sizeof ids_);
      std::memcpy(ids_.data(), drawn.data(), sizeof ids_);
      ids_left_ = ids_.size();
    }
    if (const std::uint64_t id = ids_[--ids_left_]) return DeviceId{id};
  }
}

// Durable before the row is, and before that the user's number is out of use.
void BulkRegistration::recall_used_steps(const UserRecord& record, const DeviceRecord& device) {
  const auto note = store_.document(retired_secret_name(store_.hash_key(), device.secret, device.parameters));
  if (!note) return;
  const std::int64_t step = RetiredSecret::parse(*note).step_to_respect(now_);
  if (step < 0) return;
  wait_for_batch();
  store_.put_bulk({});
  const CellWrite cell{{record.number, device.slot}, {ReplayWord::make(step, 0).bits, 0}};
  Outcome outcome = Outcome::failed;
  store_.advance({&cell, 1}, {}, {&outcome, 1}, {});
  if (outcome != Outcome::durable) throw StoreError("the store takes no writes: " + store_.health().reason);
}

void BulkRegistration::write_out() {
  wait_for_batch();
  for (Person& person : batch_) {
    if (person.changed) outgoing_.push_back(std::move(person.record));
  }
  batch_.clear();
  for (const std::uint64_t hash : hashes_) written_.add(hash);
  hashes_.clear();
  position_.fill(0);
  written_out_ = std::async(std::launch::async, [this] {
    for (UserRecord& user : outgoing_) ++user.version;
    if (!outgoing_.empty()) store_.put_bulk(outgoing_);
    outgoing_.clear();
  });
}

void BulkRegistration::wait_for_batch() {
  if (written_out_.valid()) written_out_.get();
}

void BulkRegistration::finish() {
  write_out();
  wait_for_batch();
  store_.finish_bulk();
}

}  // namespace watchword::engine
