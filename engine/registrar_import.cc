// Devices of many people at once, while everybody else goes on verifying.
#include <algorithm>
#include <cassert>
#include <unordered_map>

#include "engine/registrar.h"
#include "engine/registration_rules.h"
#include "engine/words.h"

namespace watchword::engine {
namespace {

DeviceRecord active_device(const UserRecord& user, BulkRow row, UnixMillis now) {
  DeviceRecord device;
  device.id = new_device_id(user);
  device.slot = user.next_slot;
  device.name = std::move(row.name);
  device.parameters = row.parameters;
  device.status = DeviceStatus::active;
  device.created_at_s = now.seconds();
  device.confirmed_at_s = now.seconds();
  device.secret = std::move(row.secret);
  return device;
}

}  // namespace

bool is_present(const UserRecord& user, const BulkRow& row) {
  return std::any_of(user.devices.begin(), user.devices.end(), [&](const DeviceRecord& device) {
    return device.status == DeviceStatus::active && device.name == row.name && device.parameters == row.parameters &&
           same_codes(device, row.parameters, row.secret);
  });
}

std::optional<Refusal> import_fault(const UserRecord& user, const BulkRow& row, std::size_t bytes_min,
                                    unsigned devices_max) {
  if (!valid(row.parameters)) return Refusal::bad_parameters;
  if (row.secret.size() < bytes_min) return Refusal::secret_too_short;
  if (row.secret.size() > secret_bytes_max) return Refusal::secret_too_long;
  for (const DeviceRecord& device : user.devices) {
    if (same_codes(device, row.parameters, row.secret)) return Refusal::secret_registered;
    if (device.name == row.name) return Refusal::name_taken;
  }
  if (count(user, DeviceStatus::active) >= devices_max) return Refusal::device_limit;
  return std::nullopt;
}

// The stripes of all these people, each once and in one order: whoever holds several never waits in a circle.
std::vector<std::unique_lock<std::mutex>> Registrar::lock_all(const std::vector<BulkRow>& rows) {
  std::vector<std::uint64_t> hashes;
  hashes.reserve(rows.size());
  for (const BulkRow& row : rows) hashes.push_back(hash_user(row.user.text()));
  return stripes_.lock_all(hashes);
}

Registrar::ImportAnswer Registrar::import(std::vector<BulkRow> rows, std::size_t bytes_min, const Origin& origin,
                                          UnixMillis now) {
  assert(rows.size() <= import_rows_max);
  struct Person {
    LoadedUser loaded;
    bool is_new = false;
    bool changed = false;
  };
  const unsigned devices_max = policy_.copy().max_devices_per_user;
  const auto held = lock_all(rows);
  std::unordered_map<std::string, Person> people;
  ImportAnswer answer;
  Change change;
  for (BulkRow& row : rows) {
    const auto [at, first] = people.try_emplace(row.user.text());
    Person& person = at->second;
    if (first) {
      std::optional<LoadedUser> loaded = find(row.user.text());
      person.is_new = !loaded;
      if (loaded) person.loaded = std::move(*loaded);
      drop_expired(person.loaded, now);
    }
    UserRecord& user = person.loaded.record;
    if (is_present(user, row)) {
      answer.rows.emplace_back(Imported::present);
      continue;
    }
    if (const std::optional<Refusal> fault = import_fault(user, row, bytes_min, devices_max)) {
      answer.rows.emplace_back(tl::unexpected(*fault));
      continue;
    }
    if (person.is_new && !person.changed) {
      user.user = row.user.text();
      user.number = store_.allocate_number(user.user);
      user.created_at_s = now.seconds();
      ++answer.new_users;
    }
    DeviceRecord device = active_device(user, std::move(row), now);
    ++user.next_slot;
    CellValue used;
    // A secret that was here before does not bring its used codes back to life.
    if (const std::int64_t step = retired_step(device, now); step >= 0) {
      used = {ReplayWord::make(step, 0).bits, 0};
      change.cells.push_back({{user.number, device.slot}, used});
    }
    change.audit.push_back(
        entry("import", user.user, device.id, R"({"name":)" + json_quoted(device.name) + "}", origin, now));
    user.devices.push_back(std::move(device));
    person.loaded.replay.push_back(used);
    person.changed = true;
    answer.rows.emplace_back(Imported::added);
  }
  for (auto& [name, person] : people) {
    if (!person.changed) continue;
    ++person.loaded.record.version;
    change.put_users.push_back(person.loaded.record);
  }
  if (change.put_users.empty()) return answer;
  if (committer_.commit(change) != Outcome::durable) {
    for (auto& row : answer.rows) {
      if (row && *row == Imported::added) row = tl::unexpected(Refusal::store_unavailable);
    }
    answer.new_users = 0;
    return answer;
  }
  // Who is not in memory comes there with their first code: an import of millions does not bring them all.
  for (const auto& [name, person] : people) {
    if (person.changed && directory_.resident(name)) publish(person.loaded);
  }
  return answer;
}

}  // namespace watchword::engine
