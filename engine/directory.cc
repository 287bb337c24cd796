#include "engine/directory.h"

#include <cassert>
#include <cstring>
#include <new>

#include "engine/policy.h"
#include "engine/secret_arena.h"
#include "engine/words.h"

namespace watchword::engine {
namespace {

// A slot of a table: bits 48-63 tag from the hash, bits 0-47 the block's address. Addresses of user space fit.
constexpr std::uint64_t empty_slot = 0;
constexpr std::uint64_t erased_slot = 1;
constexpr int tag_shift = 48;
constexpr std::uint64_t address_mask = (std::uint64_t{1} << tag_shift) - 1;
constexpr std::size_t first_capacity = 64;

std::uint64_t make_slot(const ResidentUser* user, std::uint64_t hash) {
  return reinterpret_cast<std::uint64_t>(user) | (hash >> tag_shift << tag_shift);
}
ResidentUser* user_of(std::uint64_t slot) {
  return reinterpret_cast<ResidentUser*>(slot & address_mask);
}
bool tag_matches(std::uint64_t slot, std::uint64_t hash) {
  return (slot >> tag_shift) == (hash >> tag_shift);
}
std::size_t home(std::uint64_t hash) {
  return static_cast<std::size_t>(hash >> 4);
}  // the low bits chose the shard

}  // namespace

// 64-bit multiply-and-fold over eight bytes at a time, seeded. Only spreads; authenticity and secrecy rest on nothing here.
std::uint64_t hash_user(std::string_view user) noexcept {
  constexpr std::uint64_t k = 0x9e3779b97f4a7c15;
  const auto fold = [](std::uint64_t a, std::uint64_t b) {
    const unsigned __int128 product = static_cast<unsigned __int128>(a) * b;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
  };
  std::uint64_t hash = 0x2545f4914f6cdd1d ^ user.size();
  const char* at = user.data();
  std::size_t left = user.size();
  while (left >= 8) {
    std::uint64_t word;
    std::memcpy(&word, at, 8);
    hash = fold(hash ^ word, k);
    at += 8;
    left -= 8;
  }
  std::uint64_t tail = 0;
  std::memcpy(&tail, at, left);
  return fold(fold(hash ^ tail, k) ^ 0xd6e8feb86659fd93, k);
}

struct Directory::Table {
  explicit Table(std::size_t capacity_in) : mask(capacity_in - 1), slots(capacity_in) {}
  std::size_t mask;
  std::vector<std::atomic<std::uint64_t>> slots;  // written under the shard's mutex, read by anyone
  std::size_t used = 0;                           // live and erased ones; under the mutex
};

struct Directory::Shard {
  std::mutex mutex;  // writers only
  std::atomic<Table*> table{nullptr};
  SecretArena arena;
  std::atomic<std::size_t> users{0};

  Shard() { table.store(new Table(first_capacity), std::memory_order_release); }
  ~Shard() { delete table.load(std::memory_order_acquire); }

  std::atomic<std::uint64_t>* find_slot(std::string_view name, std::uint64_t hash) const {
    Table& held = *table.load(std::memory_order_acquire);
    for (std::size_t at = home(hash) & held.mask;; at = (at + 1) & held.mask) {
      const std::uint64_t slot = held.slots[at].load(std::memory_order_acquire);
      if (slot == empty_slot) return nullptr;
      if (slot == erased_slot || !tag_matches(slot, hash)) continue;
      const ResidentUser* const user = user_of(slot);
      // The block's lines come from memory side by side instead of one after another.
      __builtin_prefetch(reinterpret_cast<const char*>(user) + 64);
      __builtin_prefetch(reinterpret_cast<const char*>(user) + 128);
      if (user->name() == name) return &held.slots[at];
    }
  }

  static void insert_new(Table& into, std::uint64_t slot, std::uint64_t hash) {
    std::size_t at = home(hash) & into.mask;
    while (into.slots[at].load(std::memory_order_relaxed) != empty_slot) at = (at + 1) & into.mask;
    into.slots[at].store(slot, std::memory_order_release);
    ++into.used;
  }

  // Makes room for one more. Returns the table that readers may still hold, to be deleted after them.
  std::unique_ptr<Table> grow_if_full() {
    Table* held = table.load(std::memory_order_acquire);
    const std::size_t capacity = held->mask + 1;
    if ((held->used + 1) * 10 <= capacity * 7) return nullptr;
    const bool many_live = (users.load(std::memory_order_relaxed) + 1) * 2 > capacity;
    auto grown = std::make_unique<Table>(many_live ? capacity * 2 : capacity);
    for (const auto& slot : held->slots) {
      const std::uint64_t value = slot.load(std::memory_order_relaxed);
      if (value > erased_slot) insert_new(*grown, value, hash_user(user_of(value)->name()));
    }
    table.store(grown.release(), std::memory_order_release);
    return std::unique_ptr<Table>(held);
  }
};

Directory::Directory() {
  for (auto& shard : shards_) shard = std::make_unique<Shard>();
}
Directory::~Directory() = default;

ResidentUser* Directory::find(std::string_view user, std::uint64_t hash) const noexcept {
  const std::atomic<std::uint64_t>* slot = shards_[hash % shard_count]->find_slot(user, hash);
  if (slot == nullptr) return nullptr;
  const std::uint64_t value = slot->load(std::memory_order_acquire);
  // The slot may have been emptied or refilled for a replaced block in between; both are a moment that existed.
  return value > erased_slot ? user_of(value) : nullptr;
}

void Directory::prefetch(std::uint64_t hash) const noexcept {
  const Table& table = *shards_[hash % shard_count]->table.load(std::memory_order_acquire);
  __builtin_prefetch(&table.slots[home(hash) & table.mask]);
}

void Directory::prefetch_user(std::uint64_t hash) const noexcept {
  const Table& table = *shards_[hash % shard_count]->table.load(std::memory_order_acquire);
  for (std::size_t at = home(hash) & table.mask;; at = (at + 1) & table.mask) {
    const std::uint64_t slot = table.slots[at].load(std::memory_order_acquire);
    if (slot == empty_slot) return;
    if (slot == erased_slot || !tag_matches(slot, hash)) continue;
    // Header and device are written, the rest is read.
    const char* const block = reinterpret_cast<const char*>(user_of(slot));
    __builtin_prefetch(block, 1);
    __builtin_prefetch(block + 64, 1);
    __builtin_prefetch(block + 128);
    return;
  }
}

namespace {

struct Layout {
  std::size_t bytes = sizeof(ResidentUser);
  std::size_t devices = 0;
  std::size_t key_states_at = 0;
  std::size_t names_at = 0;
};

// Only active devices live here: a pending one verifies nothing.
bool resides(const DeviceRecord& device) {
  return device.status == DeviceStatus::active;
}

Layout lay_out(const UserRecord& record) {
  Layout layout;
  std::size_t key_states = 0, names = record.user.size();
  for (const DeviceRecord& device : record.devices) {
    if (!resides(device)) continue;
    ++layout.devices;
    key_states += key_state_bytes(device.parameters.algorithm);
    names += device.name.size();
  }
  layout.key_states_at = sizeof(ResidentUser) + layout.devices * sizeof(ResidentDevice);
  layout.names_at = layout.key_states_at + key_states;
  layout.bytes = layout.names_at + names;
  return layout;
}

ResidentUser* fill(void* memory, const LoadedUser& loaded, const Layout& layout) {
  auto* bytes = static_cast<std::uint8_t*>(memory);
  auto* user = new (memory) ResidentUser{};
  new (&user->throttle) Cell(loaded.throttle);
  user->number = loaded.record.number.value;
  user->block_bytes = static_cast<std::uint16_t>(layout.bytes);
  user->name_bytes = static_cast<std::uint16_t>(loaded.record.user.size());
  user->name_offset = static_cast<std::uint16_t>(layout.names_at);
  user->device_count = static_cast<std::uint8_t>(layout.devices);
  std::size_t key_state_at = layout.key_states_at, name_at = layout.names_at;
  const auto put_name = [&](std::string_view name) {
    std::memcpy(bytes + name_at, name.data(), name.size());
    name_at += name.size();
  };
  put_name(loaded.record.user);
  ResidentDevice* device = user->devices();
  for (std::size_t i = 0; i < loaded.record.devices.size(); ++i) {
    const DeviceRecord& from = loaded.record.devices[i];
    if (!resides(from)) continue;
    new (device) ResidentDevice{.replay = Cell(i < loaded.replay.size() ? loaded.replay[i] : CellValue{}),
                                .id = from.id.value,
                                .slot = from.slot,
                                .period_s = from.parameters.period_s,
                                .algorithm = from.parameters.algorithm,
                                .digits = from.parameters.digits,
                                .key_state_offset = static_cast<std::uint16_t>(key_state_at),
                                .name_offset = static_cast<std::uint16_t>(name_at),
                                .name_bytes = static_cast<std::uint16_t>(from.name.size()),
                                .enabled = from.enabled};
    derive_key_state(from.parameters.algorithm, from.secret.bytes(), bytes + key_state_at);
    key_state_at += key_state_bytes(from.parameters.algorithm);
    put_name(from.name);
    ++device;
  }
  return user;
}

void freeze_all(ResidentUser& user, LastWords& words) {
  words.number = UserNumber{user.number};
  words.throttle = user.throttle.freeze();
  for (std::size_t i = 0; i < user.device_count; ++i) {
    ResidentDevice& device = user.devices()[i];
    words.replay.emplace_back(DeviceId{device.id}, device.replay.freeze());
  }
}

// The words of `old`, frozen, live on in `fresh`, which nobody else sees yet. Of the throttle word it is the very value: a
// copy taken earlier may hold a charge that has since been undone, with its version, and would look like the later one.
void carry_over(ResidentUser& old, ResidentUser& fresh) {
  const CellValue throttle = old.throttle.freeze();
  if (old.number == fresh.number) new (&fresh.throttle) Cell(throttle);
  for (std::size_t i = 0; i < old.device_count; ++i) {
    const CellValue last = old.devices()[i].replay.freeze();
    for (std::size_t k = 0; k < fresh.device_count; ++k) {
      ResidentDevice& device = fresh.devices()[k];
      if (device.id == old.devices()[i].id) new (&device.replay) Cell(newer(device.slot, device.replay.load(), last));
    }
  }
}

}  // namespace

void Directory::put(const LoadedUser& loaded) {
  const std::string_view name = loaded.record.user;
  const std::uint64_t hash = hash_user(name);
  Shard& shard = *shards_[hash % shard_count];
  const Layout layout = lay_out(loaded.record);
  std::unique_ptr<Table> outgrown;
  ResidentUser* replaced = nullptr;
  {
    const std::lock_guard lock(shard.mutex);
    ResidentUser* fresh = fill(shard.arena.allocate(layout.bytes), loaded, layout);
    if (std::atomic<std::uint64_t>* slot = shard.find_slot(name, hash)) {
      replaced = user_of(slot->load(std::memory_order_acquire));
      carry_over(*replaced, *fresh);
      slot->store(make_slot(fresh, hash), std::memory_order_release);
    } else {
      outgrown = shard.grow_if_full();
      Shard::insert_new(*shard.table.load(std::memory_order_acquire), make_slot(fresh, hash), hash);
      shard.users.fetch_add(1, std::memory_order_relaxed);
    }
  }
  if (replaced == nullptr && outgrown == nullptr) return;
  wait_for_readers();
  if (replaced == nullptr) return;
  const std::lock_guard lock(shard.mutex);
  shard.arena.release(replaced, replaced->block_bytes);
}

std::optional<LastWords> Directory::take(std::string_view user) {
  LastWords words;
  words.replay.reserve(devices_per_user_max);
  const std::uint64_t hash = hash_user(user);
  Shard& shard = *shards_[hash % shard_count];
  ResidentUser* erased = nullptr;
  {
    const std::lock_guard lock(shard.mutex);
    std::atomic<std::uint64_t>* slot = shard.find_slot(user, hash);
    if (slot == nullptr) return std::nullopt;
    erased = user_of(slot->load(std::memory_order_acquire));
    slot->store(erased_slot, std::memory_order_release);
    shard.users.fetch_sub(1, std::memory_order_relaxed);
    freeze_all(*erased, words);
  }
  wait_for_readers();
  const std::lock_guard lock(shard.mutex);
  shard.arena.release(erased, erased->block_bytes);
  return words;
}

bool Directory::resident(std::string_view user) const {
  const ReadScope scope;
  return find(user, hash_user(user)) != nullptr;
}

std::size_t Directory::size() const noexcept {
  std::size_t users = 0;
  for (const auto& shard : shards_) users += shard->users.load(std::memory_order_relaxed);
  return users;
}

std::size_t Directory::bytes() const noexcept {
  std::size_t bytes = 0;
  for (const auto& shard : shards_) {
    const std::lock_guard lock(shard->mutex);
    bytes += shard->arena.mapped_bytes();
    bytes += (shard->table.load(std::memory_order_acquire)->mask + 1) * sizeof(std::uint64_t);
  }
  return bytes;
}

}  // namespace watchword::engine
