// A look at a data directory that changes nothing in it.
#pragma once

#include <cstdint>
#include <string>

#include "engine/key_rotation.h"
#include "storage/open.h"

namespace watchword::storage {

enum class StoreFound : std::uint8_t {
  none,     // no store there
  foreign,  // of a format that this version does not know
  in_use,   // another process has it
  broken,   // it does not open, or not with this master key
  good,
};

struct Inspection {
  StoreFound found = StoreFound::none;
  std::string reason;        // for people; empty where good
  std::int64_t process = 0;  // that has it, where in_use; 0: not known
  engine::KeysReport keys;   // where good
  std::uint64_t people = 0;  // about as many; where good
  std::int64_t fenced_until_s = 0;
};

// Never throws for what it finds. The master key is read.
Inspection inspect(const RocksStoreOptions& options);

}  // namespace watchword::storage
