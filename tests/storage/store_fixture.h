// A real store in a directory that goes with the test, to be opened and closed at will.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>

#include "engine/store.h"
#include "engine/words.h"
#include "storage/open.h"

namespace watchword::storage::test {

using namespace watchword::engine;

inline std::string read_all(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

class StoreTest : public ::testing::Test {
 protected:
  StoreTest() {
    std::string name = (std::filesystem::temp_directory_path() / "watchword-storage-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary directory");
    parent = name;
    options.data_dir = parent / "data";
    options.free_bytes_min = 0;
    init_data_dir(options);
  }
  ~StoreTest() override {
    store.reset();
    std::filesystem::remove_all(parent);
  }

  void open() { store = open_rocks_store(options); }
  void reopen() {
    store.reset();
    open();
  }
  // What open_rocks_store says when it refuses.
  std::string refusal() {
    try {
      const auto opened = open_rocks_store(options);
    } catch (const OpenError& fault) {
      return fault.what();
    }
    return "";
  }

  UserRecord person(const std::string& name, std::size_t devices = 1) {
    UserRecord user;
    user.user = name;
    user.number = store->allocate_number(name);
    user.created_at_s = 1'800'000'000;
    for (std::size_t i = 0; i < devices; ++i) {
      DeviceRecord device;
      device.id = DeviceId{random_nonzero_u64()};
      device.slot = user.next_slot++;
      device.name = "phone " + std::to_string(i);
      device.status = DeviceStatus::active;
      device.confirmed_at_s = 1'800'000'001;
      device.secret = SecretBytes::random(20);
      user.devices.push_back(device);
    }
    return user;
  }
  Outcome write(const Change& change) {
    const Change* const changes[] = {&change};
    Outcome outcome = Outcome::failed;
    store->advance({}, changes, {}, {&outcome, 1});
    return outcome;
  }
  Outcome put(const UserRecord& user) {
    Change change;
    change.put_users.push_back(user);
    return write(change);
  }
  Outcome put_step(const UserRecord& user, std::uint32_t slot, std::int64_t step, std::uint64_t receipt = 0) {
    const CellWrite cell{{user.number, slot}, {ReplayWord::make(step, 0).bits, receipt}};
    Outcome outcome = Outcome::failed;
    store->advance({&cell, 1}, {}, {&outcome, 1}, {});
    return outcome;
  }
  std::int64_t step_of(const std::string& name, std::size_t device = 0) {
    return ReplayWord{store->load(name)->replay.at(device).word}.last_step();
  }

  std::filesystem::path parent;
  RocksStoreOptions options;
  std::unique_ptr<Store> store;
};

}  // namespace watchword::storage::test
