// The keys as the store keeps them: rows sealed under the master key. Pure functions over rows; who reads and writes them is
// elsewhere.
//
//   row name := "hash" | "audit"
//             | "data/" version: 8 hexadecimal digits
//             | "data"                                    version 1, of stores that were made before there were versions
//   row      := aead(master key, bound to "watchword key " name; 32 bytes)      of "hash", "audit" and "data" ("data 1")
//             | made_at_s: i64le, aead(master key, bound to "watchword key data " version " " made_at_s; 32 bytes)
//
// A row stands under "key/" name. While a new master key is being put in place each row stands under "newkey/" name too,
// sealed under the new one: either opens the store, so no crash in between shuts it.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "engine/types.h"
#include "storage/key_ring.h"

namespace watchword::storage {

inline constexpr std::string_view key_rows_prefix = "key/";
inline constexpr std::string_view new_key_rows_prefix = "newkey/";

using KeyRows = std::map<std::string, std::string>;  // by name, without the prefix

std::string data_key_row_name(std::uint32_t version);
// nullopt: the row is of another key.
std::optional<std::uint32_t> data_key_version(std::string_view row_name);
std::int64_t data_key_made_at_s(std::string_view row_name, std::string_view row);

// A hash key, an audit key and a first data key, all new.
KeyRows make_key_rows(const engine::SecretBytes& master_key, std::int64_t now_s);
std::string seal_data_key(const engine::SecretBytes& master_key, const DataKey& key);
// A new key of the name "hash" or "audit".
std::string make_key_row(const engine::SecretBytes& master_key, std::string_view row_name);

// Whether this master key sealed these rows.
bool opens(const engine::SecretBytes& master_key, const KeyRows& rows);
// Throws OpenError where it did not, or where a key is missing.
KeyRing open_keys(const engine::SecretBytes& master_key, const KeyRows& rows);
// The same keys under another master key. Throws OpenError as open_keys() does.
KeyRows seal_anew(const engine::SecretBytes& master_key, const engine::SecretBytes& new_master_key, const KeyRows& rows);

}  // namespace watchword::storage
