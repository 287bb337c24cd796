#include "engine/directory.h"

#include <algorithm>
#include <atomic>
#include <cassert>
#include <cstring>
#include <mutex>
#include <vector>

#include "engine/directory_table.h"
#include "engine/policy.h"
#include "engine/secret_arena.h"

namespace watchword::engine {

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
  // The last bytes, by reads of fixed size: with what stands before them, or put together from halves that may overlap.
  const auto read = [](const char* from, auto zero) {
    std::memcpy(&zero, from, sizeof zero);
    return std::uint64_t{zero};
  };
  std::uint64_t tail = 0;
  if (user.size() >= 8) {
    tail = read(user.data() + user.size() - 8, std::uint64_t{0});
  } else if (user.size() >= 4) {
    tail = read(user.data(), std::uint32_t{0}) << 32 | read(user.data() + user.size() - 4, std::uint32_t{0});
  } else if (!user.empty()) {
    tail = read(user.data(), std::uint8_t{0}) << 16 | read(user.data() + user.size() / 2, std::uint8_t{0}) << 8 |
           read(user.data() + user.size() - 1, std::uint8_t{0});
  }
  return fold(fold(hash ^ tail, k) ^ 0xd6e8feb86659fd93, k);
}

class Directory::Shard {
 public:
  Shard() : table_(new DirectoryTable(DirectoryTable::first_capacity)) { note_memory(); }
  ~Shard() { delete table_.load(std::memory_order_acquire); }
  Shard(const Shard&) = delete;
  Shard& operator=(const Shard&) = delete;

  const DirectoryTable& table() const noexcept { return *table_.load(std::memory_order_acquire); }

  void put(const LoadedUser& user, std::uint64_t hash);
  std::optional<LastWords> take(std::string_view user, std::uint64_t hash);
  std::size_t sweep(std::size_t target_bytes, UserStripes& stripes);
  void reclaim();

  Memory memory() const noexcept {
    const std::size_t table = table_bytes_.load(std::memory_order_relaxed);
    return {.users = block_bytes_.load(std::memory_order_relaxed) + table,
            .slabs = slab_bytes_.load(std::memory_order_relaxed) + table};
  }
  std::atomic<std::size_t> users{0};
  std::atomic<std::uint64_t> loads{0}, evictions{0};

 private:
  // A sweep's piece: it holds the shard's lock for well under a millisecond.
  static constexpr std::size_t slots_swept_max = 4096;

  std::unique_ptr<DirectoryTable> grow_if_full();
  void free_block(ResidentUser* user) noexcept;
  void note_memory() noexcept;

  std::mutex mutex_;  // writers only
  std::atomic<DirectoryTable*> table_;
  SecretArena arena_;
  std::size_t hand_ = 0;                // where the next sweep begins
  std::vector<ResidentUser*> evicted_;  // readers may still hold these
  // Copies for readers of the figures, written under the mutex.
  std::atomic<std::size_t> block_bytes_{0}, slab_bytes_{0}, table_bytes_{0};
};

void Directory::Shard::note_memory() noexcept {
  slab_bytes_.store(arena_.slab_bytes_used(), std::memory_order_relaxed);
  table_bytes_.store(table().bytes(), std::memory_order_relaxed);
}

void Directory::Shard::free_block(ResidentUser* user) noexcept {
  const std::size_t bytes = user->block_bytes;
  arena_.release(user, bytes);
  block_bytes_.fetch_sub(SecretArena::taken(bytes), std::memory_order_relaxed);
}

// Makes room for one more. Returns the table that readers may still hold, to be deleted after them.
std::unique_ptr<DirectoryTable> Directory::Shard::grow_if_full() {
  DirectoryTable* const held = table_.load(std::memory_order_acquire);
  if (!held->full()) return nullptr;
  const bool many_live = (users.load(std::memory_order_relaxed) + 1) * 2 > held->capacity();
  auto grown =
      std::make_unique<DirectoryTable>(many_live ? DirectoryTable::next_capacity(held->capacity()) : held->capacity());
  held->copy_to(*grown);
  table_.store(grown.release(), std::memory_order_release);
  hand_ = 0;
  return std::unique_ptr<DirectoryTable>(held);
}

void Directory::Shard::put(const LoadedUser& loaded, std::uint64_t hash) {
  const std::size_t bytes = resident_bytes(loaded.record);
  std::unique_ptr<DirectoryTable> outgrown;
  ResidentUser* replaced = nullptr;
  {
    const std::lock_guard lock(mutex_);
    outgrown = grow_if_full();
    DirectoryTable& held = *table_.load(std::memory_order_acquire);
    ResidentUser* const fresh = make_resident(arena_.allocate(bytes), loaded);
    block_bytes_.fetch_add(SecretArena::taken(bytes), std::memory_order_relaxed);
    const DirectoryTable::Found old = held.find(loaded.record.user, hash);
    if (old.user != nullptr) {
      replaced = old.user;
      carry_over(*replaced, *fresh);
      held.replace(old.at, fresh, hash);
    } else {
      held.insert(fresh, hash);
      users.fetch_add(1, std::memory_order_relaxed);
      loads.fetch_add(1, std::memory_order_relaxed);
    }
    note_memory();
  }
  if (replaced == nullptr && outgrown == nullptr) return;
  wait_for_readers();
  if (replaced == nullptr) return;
  const std::lock_guard lock(mutex_);
  free_block(replaced);
  note_memory();
}

std::optional<LastWords> Directory::Shard::take(std::string_view user, std::uint64_t hash) {
  LastWords words;
  words.replay.reserve(devices_per_user_max);
  ResidentUser* erased = nullptr;
  {
    const std::lock_guard lock(mutex_);
    DirectoryTable& held = *table_.load(std::memory_order_acquire);
    const DirectoryTable::Found found = held.find(user, hash);
    if (found.user == nullptr) return std::nullopt;
    erased = found.user;
    held.erase(found.at);
    users.fetch_sub(1, std::memory_order_relaxed);
    freeze_all(*erased);
  }
  // Until then, who was verifying may still take a charge back.
  wait_for_readers();
  read_last_words(*erased, words);
  const std::lock_guard lock(mutex_);
  free_block(erased);
  note_memory();
  return words;
}

// Second chance: a user's mark is taken away on the way, and who has none when the hand comes again goes. Words are frozen
// before the mark is looked at for the last time, and a verifier sets the mark before it changes a word: so a user who is
// found without one then has not been changed since the mark was taken away.
std::size_t Directory::Shard::sweep(std::size_t target_bytes, UserStripes& stripes) {
  const std::lock_guard lock(mutex_);
  DirectoryTable& held = *table_.load(std::memory_order_acquire);
  const std::size_t slots = std::min(slots_swept_max, held.capacity());
  evicted_.reserve(evicted_.size() + slots);
  std::size_t bytes = memory().users, count = 0;
  constexpr std::size_t ahead = 8;
  // The hand stays where the target was reached, so that everybody has their turn.
  for (std::size_t i = 0; i < slots && bytes > target_bytes; ++i, ++hand_) {
    if (const ResidentUser* const coming = held.at(hand_ + ahead)) __builtin_prefetch(coming);
    ResidentUser* const user = held.at(hand_);
    if (user == nullptr) continue;
    if (user->in_use.load(std::memory_order_relaxed) != 0) {
      user->in_use.store(0, std::memory_order_relaxed);
      continue;
    }
    const auto stripe = stripes.try_lock(hash_user(user->name()));
    if (!stripe.owns_lock()) continue;
    freeze_all(*user);
    if (user->in_use.load(std::memory_order_acquire) != 0) {
      thaw_all(*user);
      continue;
    }
    held.erase(hand_);
    evicted_.push_back(user);
    bytes -= SecretArena::taken(user->block_bytes);
    ++count;
  }
  users.fetch_sub(count, std::memory_order_relaxed);
  evictions.fetch_add(count, std::memory_order_relaxed);
  return count;
}

void Directory::Shard::reclaim() {
  const std::lock_guard lock(mutex_);
  for (ResidentUser* const user : evicted_) free_block(user);
  evicted_.clear();
  note_memory();
}

Directory::Directory() {
  for (auto& one : shards_) one = std::make_unique<Shard>();
}
Directory::~Directory() = default;

ResidentUser* Directory::find(std::string_view user, std::uint64_t hash) const noexcept {
  return shard(hash).table().find(user, hash).user;
}
void Directory::prefetch(std::uint64_t hash) const noexcept {
  shard(hash).table().prefetch(hash);
}
void Directory::prefetch_user(std::uint64_t hash) const noexcept {
  shard(hash).table().prefetch_user(hash);
}

void Directory::put(const LoadedUser& loaded) {
  const std::uint64_t hash = hash_user(loaded.record.user);
  shard(hash).put(loaded, hash);
}

std::optional<LastWords> Directory::take(std::string_view user) {
  const std::uint64_t hash = hash_user(user);
  return shard(hash).take(user, hash);
}

bool Directory::resident(std::string_view user) const {
  const ReadScope scope;
  return find(user, hash_user(user)) != nullptr;
}

std::size_t Directory::sweep(std::size_t at, std::size_t target_bytes, UserStripes& stripes) {
  return shards_[at]->sweep(target_bytes, stripes);
}
void Directory::reclaim(std::size_t at) {
  shards_[at]->reclaim();
}
Directory::Memory Directory::memory(std::size_t at) const noexcept {
  return shards_[at]->memory();
}

std::size_t Directory::size() const noexcept {
  std::size_t sum = 0;
  for (const auto& one : shards_) sum += one->users.load(std::memory_order_relaxed);
  return sum;
}
std::size_t Directory::bytes() const noexcept {
  std::size_t sum = 0;
  for (const auto& one : shards_) sum += one->memory().slabs;
  return sum;
}
std::uint64_t Directory::loads() const noexcept {
  std::uint64_t sum = 0;
  for (const auto& one : shards_) sum += one->loads.load(std::memory_order_relaxed);
  return sum;
}
std::uint64_t Directory::evictions() const noexcept {
  std::uint64_t sum = 0;
  for (const auto& one : shards_) sum += one->evictions.load(std::memory_order_relaxed);
  return sum;
}

}  // namespace watchword::engine
