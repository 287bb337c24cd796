// The rows of sealed keys in a database (storage/sealed_keys.h).
#pragma once

#include "storage/rocksdb/rocks_store.h"
#include "storage/sealed_keys.h"

namespace watchword::storage {

// By name, without the prefix. Throws OpenError.
KeyRows read_key_rows(const Database& database, std::string_view prefix);

// Oldest first.
std::vector<engine::DataKeyReport> data_keys_of(const KeyRows& rows);

// Opens all keys with whichever rows this master key sealed. Where those are the new ones, they take the others' place: from
// then on the old master key opens nothing. Throws OpenError.
KeyRing open_key_table(Database& database, const engine::SecretBytes& master_key);

// The rows of the new master key take the place of the others, durably and at once. Throws OpenError.
void promote_new_keys(Database& database);

inline constexpr std::string_view new_master_key_row = "meta/new-master-key";
// Its fingerprint; empty: none is pending.
std::string pending_master_key(const Database& database);

// What was overwritten or deleted among the keys is not left in a table file either.
void purge_key_rows(Database& database);

}  // namespace watchword::storage
