// A real store in a directory that goes with the test.
#pragma once

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

#include "storage/open.h"

namespace watchword::api {

class ScratchStore {
 public:
  ScratchStore() {
    std::string name = (std::filesystem::temp_directory_path() / "watchword-api-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary directory");
    parent_ = name;
    storage::RocksStoreOptions options;
    options.data_dir = parent_ / "data";
    options.free_bytes_min = 0;
    storage::init_data_dir(options);
    store_ = storage::open_rocks_store(options);
  }
  ~ScratchStore() {
    store_.reset();
    std::filesystem::remove_all(parent_);
  }
  ScratchStore(const ScratchStore&) = delete;
  ScratchStore& operator=(const ScratchStore&) = delete;

  engine::Store& store() { return *store_; }

 private:
  std::filesystem::path parent_;
  std::unique_ptr<engine::Store> store_;
};

}  // namespace watchword::api
