// A new data key, a new master key. Sealing anew is in reseal.cc.
#include <rocksdb/write_batch.h>

#include "storage/aead.h"
#include "storage/master_key.h"
#include "storage/rocksdb/key_table.h"
#include "storage/rocksdb/rocks_store.h"

namespace watchword::storage {
namespace {

using engine::RotationFault, engine::RotationRefusal;

tl::unexpected<RotationFault> refuse(RotationRefusal refusal, std::string reason) {
  return tl::unexpected(RotationFault{refusal, std::move(reason)});
}

bool same(const engine::SecretBytes& a, const engine::SecretBytes& b) {
  return fingerprint(a) == fingerprint(b);
}

constexpr const char* not_written = "the store took no write; see the server's log";

}  // namespace

void RocksStore::read_keys_report(const std::string& master_key_fingerprint) {
  const KeyRows rows = read_key_rows(database_, key_rows_prefix);
  const std::lock_guard lock(report_mutex_);
  if (!master_key_fingerprint.empty()) report_.master_key = master_key_fingerprint;
  report_.next_master_key = pending_master_key(database_);
  report_.data_keys = data_keys_of(rows);
}

engine::KeysReport RocksStore::keys() const {
  const std::lock_guard lock(report_mutex_);
  return report_;
}

RocksStore::Rotated RocksStore::rotate_keys(const engine::RotationRequest& request,
                                            const std::function<engine::Outcome(engine::Change&)>& commit) {
  const std::unique_lock alone(rotation_mutex_, std::try_to_lock);
  if (!alone) return refuse(RotationRefusal::running, "keys are being rotated at this moment");
  try {
    engine::SecretBytes master_key;
    try {
      master_key = read_master_key(options_);
    } catch (const OpenError& fault) {
      return refuse(RotationRefusal::master_key, fault.what());
    }
    if (!opens(master_key, read_key_rows(database_, key_rows_prefix))) {
      if (!opens(master_key, read_key_rows(database_, new_key_rows_prefix))) {
        return refuse(RotationRefusal::master_key, "the master key was replaced by one that does not open this store");
      }
      promote_new_keys(database_);  // it was put in place since the start
      read_keys_report(fingerprint(master_key));
    }
    return request.new_master_key_file.empty() ? add_data_key(master_key, request, commit)
                                               : take_master_key(master_key, request, commit);
  } catch (const OpenError& fault) {
    throw engine::StoreError(fault.what());
  }
}

RocksStore::Rotated RocksStore::add_data_key(const engine::SecretBytes& master_key, const engine::RotationRequest& request,
                                             const std::function<engine::Outcome(engine::Change&)>& commit) {
  if (keys().resealing) {
    return refuse(RotationRefusal::running, "secrets are still being sealed anew after the last rotation");
  }
  if (!keys().next_master_key.empty()) {
    return refuse(RotationRefusal::master_key_pending,
                  "a new master key was taken but is not where the master key is read from; put it there first");
  }
  DataKey key{.version = keys_.newest_version() + 1,
              .made_at_s = request.now.seconds(),
              .key = engine::SecretBytes::random(aead_key_bytes)};
  engine::Change change;
  change.put_keys.emplace_back(std::string(key_rows_prefix) + data_key_row_name(key.version),
                               seal_data_key(master_key, key));
  if (commit(change) != engine::Outcome::durable) return refuse(RotationRefusal::store_unavailable, not_written);
  keys_.add(std::move(key));
  read_keys_report("");
  {
    const std::lock_guard lock(report_mutex_);
    report_.resealing = true;
    report_.rows_done = report_.rows_unreadable = 0;
  }
  {
    const std::lock_guard lock(reseal_mutex_);
    reseal_due_ = true;
  }
  reseal_wake_.notify_all();
  return keys();
}

// First both keys open the store, then the file changes, then only the new one does: whatever stops in between leaves a
// store that opens with the key that is in the file.
RocksStore::Rotated RocksStore::take_master_key(const engine::SecretBytes& master_key,
                                                const engine::RotationRequest& request,
                                                const std::function<engine::Outcome(engine::Change&)>& commit) {
  engine::SecretBytes next;
  try {
    if (std::error_code fault; !std::filesystem::exists(request.new_master_key_file, fault) && !fault) {
      throw OpenError("there is no file " + request.new_master_key_file +
                      "; one is made by: (umask 077; openssl rand -hex 32 > FILE)");
    }
    next = read_master_key_file(request.new_master_key_file);
  } catch (const OpenError& fault) {
    return refuse(RotationRefusal::new_master_key, fault.what());
  }
  if (same(master_key, next)) return refuse(RotationRefusal::new_master_key, "this is the present master key");
  engine::Change change;
  for (auto& [name, row] : seal_anew(master_key, next, read_key_rows(database_, key_rows_prefix))) {
    change.put_keys.emplace_back(std::string(new_key_rows_prefix) + name, row);
  }
  change.put_keys.emplace_back(new_master_key_row, fingerprint(next));
  if (commit(change) != engine::Outcome::durable) return refuse(RotationRefusal::store_unavailable, not_written);
  read_keys_report("");
  const std::optional<std::filesystem::path> file = master_key_file(options_);
  try {
    if (file) replace_master_key_file(*file, next);
  } catch (const OpenError& fault) {
    // Not ours to write, as a credential is not: whoever keeps the key puts the new one there.
    if (options_.warn) options_.warn(std::string("the new master key has to be put in place by hand: ") + fault.what());
    return keys();
  }
  if (file) {
    promote_new_keys(database_);
    read_keys_report(fingerprint(next));
  }
  return keys();
}

}  // namespace watchword::storage
