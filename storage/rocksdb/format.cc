#include "storage/rocksdb/format.h"

#include <bit>
#include <cstring>
#include <limits>
#include <type_traits>

namespace watchword::storage {
namespace {

using engine::StoreError;

constexpr std::uint8_t row_version = 1;
constexpr std::uint8_t block_version = 1;
enum EntryKind : std::uint8_t { entry_write = 1, entry_erase = 2, entry_erase_user = 3 };

// Writes it, and returns where the next one goes.
template <class Number>
char* store(char* at, Number value) {
  if constexpr (std::endian::native == std::endian::little) {
    std::memcpy(at, &value, sizeof value);
    return at + sizeof value;
  }
  const auto bits = static_cast<std::uint64_t>(static_cast<std::make_unsigned_t<Number>>(value));
  for (std::size_t i = 0; i < sizeof(Number); ++i) *at++ = static_cast<char>(bits >> (8 * i));
  return at;
}

template <class Number>
void put(std::string& out, Number value) {
  char bytes[sizeof(Number)];
  store(bytes, value);
  out.append(bytes, sizeof bytes);
}

void put_text(std::string& out, std::string_view text) {
  if (text.size() > std::numeric_limits<std::uint16_t>::max()) throw StoreError("a text of a row is too long to be stored");
  put(out, static_cast<std::uint16_t>(text.size()));
  out += text;
}

// Reads what put() wrote, and nothing beyond the end.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : left_(bytes) {}
  bool done() const { return left_.empty(); }

  template <class Number>
  Number number() {
    const std::string_view bytes = take(sizeof(Number));
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < sizeof(Number); ++i) value |= std::uint64_t{static_cast<std::uint8_t>(bytes[i])} << (8 * i);
    return static_cast<Number>(value);
  }
  std::string_view text() { return take(number<std::uint16_t>()); }

 private:
  std::string_view take(std::size_t count) {
    if (count > left_.size()) throw StoreError("a stored row ends too early: the store is damaged");
    const std::string_view taken = left_.substr(0, count);
    left_.remove_prefix(count);
    return taken;
  }
  std::string_view left_;
};

void check(bool good) {
  if (!good) throw StoreError("a stored row holds what no row may hold: the store is damaged");
}

void put_device(std::string& out, std::string_view user, const engine::DeviceRecord& device, const KeyRing& keys) {
  put(out, device.id.value);
  put(out, device.slot);
  put_text(out, device.name);
  put(out, static_cast<std::uint8_t>(device.parameters.algorithm));
  put(out, device.parameters.digits);
  put(out, device.parameters.period_s);
  put(out, static_cast<std::uint8_t>(device.status));
  put(out, static_cast<std::uint8_t>(device.enabled ? 1 : 0));
  put(out, device.failed_confirmations);
  put(out, device.created_at_s);
  put(out, device.confirmed_at_s);
  put(out, device.expires_at_s);
  put_text(out, keys.seal(user, device.id, device.secret));
}

engine::DeviceRecord read_device(Reader& in, std::string_view& sealed) {
  engine::DeviceRecord device;
  device.id = {in.number<std::uint64_t>()};
  device.slot = in.number<std::uint32_t>();
  device.name = in.text();
  const auto algorithm = in.number<std::uint8_t>();
  device.parameters.digits = in.number<std::uint8_t>();
  device.parameters.period_s = in.number<std::uint16_t>();
  const auto status = in.number<std::uint8_t>();
  const auto enabled = in.number<std::uint8_t>();
  device.failed_confirmations = in.number<std::uint8_t>();
  device.created_at_s = in.number<std::int64_t>();
  device.confirmed_at_s = in.number<std::int64_t>();
  device.expires_at_s = in.number<std::int64_t>();
  sealed = in.text();
  check(algorithm >= 1 && algorithm <= 3 && (status == 1 || status == 2) && enabled <= 1 && device.id.value != 0);
  device.parameters.algorithm = static_cast<engine::Algorithm>(algorithm);
  device.status = static_cast<engine::DeviceStatus>(status);
  device.enabled = enabled == 1;
  check(valid(device.parameters));
  return device;
}

engine::UserRecord read_head(Reader& in, std::string_view user, std::size_t& devices) {
  check(in.number<std::uint8_t>() == row_version);
  engine::UserRecord record;
  record.user = user;
  record.number = {in.number<std::uint64_t>()};
  record.created_at_s = in.number<std::int64_t>();
  record.next_slot = in.number<std::uint32_t>();
  record.version = in.number<std::uint64_t>();
  devices = in.number<std::uint16_t>();
  return record;
}

}  // namespace

std::size_t shard_of(std::string_view user) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : user) hash = (hash ^ static_cast<std::uint8_t>(c)) * 0x100000001b3;
  return hash % shard_count;
}

std::string encode_row(const engine::UserRecord& record, const KeyRing& keys) {
  std::string out;
  put(out, row_version);
  put(out, record.number.value);
  put(out, record.created_at_s);
  put(out, record.next_slot);
  put(out, record.version);
  put(out, static_cast<std::uint16_t>(record.devices.size()));
  for (const engine::DeviceRecord& device : record.devices) put_device(out, record.user, device, keys);
  return out;
}

engine::UserRecord decode_row(std::string_view user, std::string_view row, const KeyRing& keys) {
  Reader in(row);
  std::size_t devices = 0;
  engine::UserRecord record = read_head(in, user, devices);
  for (std::size_t i = 0; i < devices; ++i) {
    std::string_view sealed;
    engine::DeviceRecord device = read_device(in, sealed);
    std::optional<engine::SecretBytes> secret = keys.open(user, device.id, sealed);
    if (!secret) throw StoreError("a stored secret does not open: the row was changed or moved, or the key is another one");
    device.secret = std::move(*secret);
    record.devices.push_back(std::move(device));
  }
  check(in.done());
  return record;
}

engine::UserRecord decode_row_sealed(std::string_view user, std::string_view row) {
  Reader in(row);
  std::size_t devices = 0;
  engine::UserRecord record = read_head(in, user, devices);
  for (std::size_t i = 0; i < devices; ++i) {
    std::string_view sealed;
    record.devices.push_back(read_device(in, sealed));
  }
  check(in.done());
  return record;
}

engine::UserSummary summarise_row(std::string_view user, std::string_view row) {
  Reader in(row);
  std::size_t devices = 0;
  const engine::UserRecord record = read_head(in, user, devices);
  engine::UserSummary summary{.user = record.user, .created_at_s = record.created_at_s, .active_devices = 0};
  for (std::size_t i = 0; i < devices; ++i) {
    std::string_view sealed;
    summary.active_devices += read_device(in, sealed).status == engine::DeviceStatus::active ? 1 : 0;
  }
  return summary;
}

std::optional<std::uint32_t> oldest_seal(std::string_view user, std::string_view row) {
  Reader in(row);
  std::size_t devices = 0;
  read_head(in, user, devices);
  std::optional<std::uint32_t> oldest;
  for (std::size_t i = 0; i < devices; ++i) {
    std::string_view sealed;
    read_device(in, sealed);
    const std::uint32_t version = sealing_version(sealed);
    if (!oldest || version < *oldest) oldest = version;
  }
  return oldest;
}

CellRowKey encode_cell_key(engine::CellKey key) {
  CellRowKey out;
  for (std::size_t i = 0; i < 8; ++i) out[i] = static_cast<char>(key.user.value >> (56 - 8 * i));
  for (std::size_t i = 0; i < 4; ++i) out[8 + i] = static_cast<char>(key.slot >> (24 - 8 * i));
  return out;
}

std::uint32_t decode_cell_slot(std::string_view key) {
  if (key.size() != sizeof(std::uint64_t) + sizeof(std::uint32_t)) throw engine::StoreError("a state row's key is damaged");
  std::uint32_t slot = 0;
  for (const char byte : key.substr(sizeof(std::uint64_t))) slot = slot << 8 | static_cast<std::uint8_t>(byte);
  return slot;
}

CellRowValue encode_cell_value(const engine::CellValue& value) {
  CellRowValue out;
  store(store(out.data(), value.word), value.receipt);
  return out;
}

engine::CellValue decode_cell_value(std::string_view bytes) {
  Reader in(bytes);
  engine::CellValue value;
  value.word = in.number<std::uint64_t>();
  value.receipt = in.number<std::uint64_t>();
  check(in.done());
  return value;
}

void begin_block(std::string& block) {
  block.clear();
  put(block, block_version);
}

void append_write(std::string& block, const engine::CellWrite& write) {
  std::array<char, 1 + 8 + 4 + 8 + 8> entry;
  char* at = store(entry.data(), std::uint8_t{entry_write});
  at = store(at, write.key.user.value);
  at = store(at, write.key.slot);
  at = store(at, write.value.word);
  store(at, write.value.receipt);
  block.append(entry.data(), entry.size());
}

void append_erase(std::string& block, engine::CellKey key) {
  put(block, std::uint8_t{entry_erase});
  put(block, key.user.value);
  put(block, key.slot);
}

void append_erase_user(std::string& block, engine::UserNumber number) {
  put(block, std::uint8_t{entry_erase_user});
  put(block, number.value);
}

void decode_block(std::string_view block, const BlockVisitor& visitor) {
  Reader in(block);
  check(in.number<std::uint8_t>() == block_version);
  while (!in.done()) {
    const auto kind = in.number<std::uint8_t>();
    engine::CellWrite write;
    write.key.user = {in.number<std::uint64_t>()};
    check(kind >= entry_write && kind <= entry_erase_user);
    if (kind == entry_erase_user) {
      visitor.erase_user(write.key.user);
      continue;
    }
    write.key.slot = in.number<std::uint32_t>();
    if (kind == entry_erase) {
      visitor.erase(write.key);
      continue;
    }
    write.value.word = in.number<std::uint64_t>();
    write.value.receipt = in.number<std::uint64_t>();
    visitor.write(write);
  }
}

std::string encode_u64(std::uint64_t value) {
  std::string out;
  put(out, value);
  return out;
}

std::uint64_t decode_u64(std::string_view bytes) {
  Reader in(bytes);
  const auto value = in.number<std::uint64_t>();
  check(in.done());
  return value;
}

std::string encode_big_endian(std::uint64_t value) {
  std::string out;
  for (int shift = 56; shift >= 0; shift -= 8) out += static_cast<char>(value >> shift);
  return out;
}

std::uint64_t decode_big_endian(std::string_view bytes) {
  check(bytes.size() == 8);
  std::uint64_t value = 0;
  for (const char c : bytes) value = (value << 8) | static_cast<std::uint8_t>(c);
  return value;
}

}  // namespace watchword::storage
