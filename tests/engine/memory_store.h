// A store in memory that can be told to fail: for the engine's rules alone. The real store has its own tests, and the whole
// is tried on the real one in tests/acceptance.
#pragma once

#include <algorithm>
#include <map>
#include <mutex>
#include <set>

#include "engine/store.h"

namespace watchword::engine::test {

class MemoryStore : public Store {
 public:
  void advance(std::span<const CellWrite> cells, std::span<const Change* const> changes, std::span<Outcome> cell_outcomes,
               std::span<Outcome> change_outcomes) noexcept override {
    held_.wait(true);
    const std::lock_guard lock(mutex_);
    ++groups;
    std::fill(cell_outcomes.begin(), cell_outcomes.end(), next_outcome);
    std::fill(change_outcomes.begin(), change_outcomes.end(), next_outcome);
    if (next_outcome != Outcome::durable) return;
    for (const CellWrite& cell : cells) put(cell);
    for (const Change* change : changes) apply(*change);
  }
  std::optional<LoadedUser> load(std::string_view user) override {
    const std::lock_guard lock(mutex_);
    const auto at = users_.find(std::string(user));
    if (at == users_.end()) return std::nullopt;
    LoadedUser loaded;
    loaded.record = at->second;
    loaded.throttle = cells_[{loaded.record.number, throttle_slot}];
    for (const DeviceRecord& device : loaded.record.devices) {
      loaded.replay.push_back(cells_[{loaded.record.number, device.slot}]);
    }
    return loaded;
  }
  UserPage list(std::string_view prefix, std::string_view after, std::size_t limit) override {
    UserPage page;
    for (const auto& [name, record] : users_) {
      if (!name.starts_with(prefix) || name <= after) continue;
      page.more = page.users.size() == limit;
      if (page.more) break;
      page.users.push_back({.user = name, .created_at_s = record.created_at_s});
    }
    return page;
  }
  void for_each_user(const std::function<bool(const UserRecord&)>& visit) override {
    for (const auto& [name, record] : users_) {
      if (!visit(record)) return;
    }
  }
  void scan(std::string_view after, const std::function<bool(const UserRecord&)>& visit) override {
    for (auto at = users_.upper_bound(std::string(after)); at != users_.end(); ++at) {
      UserRecord record = at->second;
      for (DeviceRecord& device : record.devices) device.secret = {};
      if (!visit(record)) return;
    }
  }
  UserNumber allocate_number(std::string_view) override { return {++numbers_}; }
  std::optional<std::string> document(std::string_view name) override {
    const std::lock_guard lock(mutex_);
    const auto at = documents_.find(std::string(name));
    return at == documents_.end() ? std::nullopt : std::optional(at->second);
  }
  std::vector<std::pair<std::string, std::string>> documents(std::string_view prefix) override {
    const std::lock_guard lock(mutex_);
    std::vector<std::pair<std::string, std::string>> found;
    for (const auto& entry : documents_) {
      if (entry.first.starts_with(prefix)) found.push_back(entry);
    }
    return found;
  }
  // Newest first, without looking at the query: the real store has tests of its own.
  AuditPage audit(const AuditQuery&) override {
    const std::lock_guard lock(mutex_);
    AuditPage page;
    for (std::size_t i = trail_.size(); i-- > 0;) page.rows.push_back({i + 1, trail_[i]});
    return page;
  }
  std::uint64_t audit_last() const noexcept override {
    const std::lock_guard lock(mutex_);
    return trail_.size();
  }
  std::vector<AuditRow> audit_after(std::uint64_t after, std::size_t limit) override {
    const std::lock_guard lock(mutex_);
    std::vector<AuditRow> rows;
    for (std::size_t i = after; i < trail_.size() && rows.size() < limit; ++i) rows.push_back({i + 1, trail_[i]});
    return rows;
  }
  const SecretBytes& hash_key() const override { return hash_key_; }
  StoreHealth health() const override { return {writable_, false, ""}; }
  bool writable() const noexcept override { return writable_; }
  void put_bulk(std::span<const UserRecord> users) override {
    const std::lock_guard lock(mutex_);
    for (const UserRecord& user : users) users_[user.user] = user;
  }
  void finish_bulk() override {}

  CellValue cell(UserNumber user, std::uint32_t slot) {
    const std::lock_guard lock(mutex_);
    return cells_[{user, slot}];
  }

  // Between the two, advance() waits.
  void hold() { held_ = true; }
  void release() {
    held_ = false;
    held_.notify_all();
  }

  std::atomic<Outcome> next_outcome = Outcome::durable;
  std::atomic<bool> writable_ = true;
  std::atomic<int> groups = 0;

 private:
  void put(const CellWrite& write) {
    CellValue& held = cells_[write.key];
    held = newer(write.key.slot, held, write.value);
  }
  void apply(const Change& change) {
    for (const UserRecord& user : change.put_users) users_[user.user] = user;
    for (const auto& [name, number] : change.erase_users) users_.erase(name);
    for (const CellWrite& cell : change.cells) put(cell);
    for (const CellKey& key : change.erase_cells) cells_.erase(key);
    for (const auto& [name, text] : change.put_documents) documents_[name] = text;
    for (const std::string& name : change.erase_documents) documents_.erase(name);
    trail_.insert(trail_.end(), change.audit.begin(), change.audit.end());
    for (const AuditNote& note : change.notes) trail_.push_back(entry_of(note));
  }

  std::atomic<bool> held_ = false;
  mutable std::mutex mutex_;
  std::map<std::string, UserRecord> users_;
  std::map<CellKey, CellValue> cells_;
  std::map<std::string, std::string> documents_;
  std::vector<AuditEntry> trail_;
  std::uint64_t numbers_ = 0;
  SecretBytes hash_key_{std::vector<std::uint8_t>(32, 7)};
};

}  // namespace watchword::engine::test
