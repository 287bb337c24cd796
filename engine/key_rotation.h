// Renewing the keys of a store: what is asked, what is answered. The work is the store's (Store::rotate_keys).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/types.h"

namespace watchword::engine {

struct DataKeyReport {
  std::uint32_t version = 0;
  std::int64_t made_at_s = 0;  // 0: not known
};

struct KeysReport {
  std::vector<DataKeyReport> data_keys;  // oldest first; the last one seals, the others go once nothing is sealed under them
  std::string master_key;                // fingerprint of the one that the store was opened with
  std::string next_master_key;           // of one that opens it too, and alone once it is in the other's place; empty: none
  bool resealing = false;
  std::uint64_t rows_done = 0;        // of the resealing that runs, or ran last
  std::uint64_t rows_estimated = 0;   // about as many as there are
  std::uint64_t rows_unreadable = 0;  // damaged ones, which keep their old key from being destroyed
};

struct RotationRequest {
  std::string new_master_key_file;  // empty: a new data key, and everything sealed anew
  UnixMillis now;
};

enum class RotationRefusal : std::uint8_t {
  not_supported,       // this store has no keys
  running,             // secrets are still being sealed anew after the last time
  master_key_pending,  // a new master key is not in place yet
  master_key,          // the present one cannot be read, or is not the store's any more
  new_master_key,      // the new one cannot be read, or is the present one
  store_unavailable,   // nothing was changed as far as is known
};
struct RotationFault {
  RotationRefusal refusal;
  std::string reason;  // for people; no secret
};

}  // namespace watchword::engine
