// A store without a disk: everything is durable at once and forgotten. For measuring the part in memory alone.
#pragma once

#include <algorithm>

#include "engine/store.h"

namespace watchword::bench {

class DiscardingStore : public engine::Store {
 public:
  void advance(std::span<const engine::CellWrite>, std::span<const engine::Change* const>,
               std::span<engine::Outcome> cell_outcomes, std::span<engine::Outcome> change_outcomes) noexcept override {
    std::fill(cell_outcomes.begin(), cell_outcomes.end(), engine::Outcome::durable);
    std::fill(change_outcomes.begin(), change_outcomes.end(), engine::Outcome::durable);
  }
  std::optional<engine::LoadedUser> load(std::string_view) override { return std::nullopt; }
  engine::UserPage list(std::string_view, std::string_view, std::size_t) override { return {}; }
  void for_each_user(const std::function<bool(const engine::UserRecord&)>&) override {}
  void scan(std::string_view, const std::function<bool(const engine::UserRecord&)>&) override {}
  engine::UserNumber allocate_number(std::string_view) override { return {++numbers_}; }
  std::optional<std::string> document(std::string_view) override { return std::nullopt; }
  std::vector<std::pair<std::string, std::string>> documents(std::string_view) override { return {}; }
  engine::AuditPage audit(const engine::AuditQuery&) override { return {}; }
  std::uint64_t audit_last() const noexcept override { return 0; }
  std::vector<engine::AuditRow> audit_after(std::uint64_t, std::size_t) override { return {}; }
  const engine::SecretBytes& hash_key() const override { return hash_key_; }
  engine::StoreHealth health() const override { return {}; }
  bool writable() const noexcept override { return true; }
  void put_bulk(std::span<const engine::UserRecord>) override {}
  void finish_bulk() override {}

 private:
  std::uint64_t numbers_ = 0;
  engine::SecretBytes hash_key_{std::vector<std::uint8_t>(32, 7)};
};

}  // namespace watchword::bench
