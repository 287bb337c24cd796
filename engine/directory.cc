#include "engine/directory.h"

#include <algorithm>
#include <atomic>
#include <cassert>
#include <mutex>
#include <vector>

#include "engine/directory_table.h"
#include "engine/placed_blocks.h"
#include "engine/policy.h"
#include "engine/secret_arena.h"
#include "engine/words.h"

namespace watchword::engine {

class Directory::Shard {
 public:
  explicit Shard(std::atomic<DirectoryTable*>& table) : table_(table) {
    table_.store(new DirectoryTable(DirectoryTable::first_capacity), std::memory_order_release);
    note_memory();
  }
  ~Shard() { delete table_.load(std::memory_order_acquire); }
  Shard(const Shard&) = delete;
  Shard& operator=(const Shard&) = delete;

  const PlacedBlocks& places() const noexcept { return places_; }
  void leave_out_places() noexcept { with_places_ = false; }
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

  // Fewer users are in the caches anyway.
  static constexpr std::size_t users_worth_places = 2048;
  static constexpr std::size_t slots_moved_max = 2048;
  static constexpr std::size_t nothing_to_move = ~std::size_t{0};

  std::unique_ptr<DirectoryTable> grow_if_full();
  void grow_places() noexcept;
  void move_some(DirectoryTable& held, std::vector<ResidentUser*>& left_behind);
  void move(DirectoryTable& held, std::size_t slot, ResidentUser& user, std::uint64_t hash, void* to,
            std::vector<ResidentUser*>& left_behind);
  ResidentUser* guest_at_home_of(std::uint64_t hash) const noexcept;
  void* allocate_block(std::size_t bytes, std::uint64_t hash);
  void free_block(ResidentUser* user) noexcept;
  static bool fits_place(std::size_t bytes) noexcept { return bytes <= PlacedBlocks::block_bytes; }
  std::size_t taken(const ResidentUser& user) const noexcept {
    return places_.owns(&user) ? PlacedBlocks::block_bytes : SecretArena::taken(user.block_bytes);
  }
  void note_memory() noexcept;

  std::mutex mutex_;  // writers only
  std::atomic<DirectoryTable*>& table_;
  SecretArena arena_;
  PlacedBlocks places_{arena_};
  bool with_places_ = true;
  unsigned puts_with_readers_ = 0;         // put()s that wait for readers of what they replaced
  unsigned takes_ = 0;                     // take()s that wait for readers: nobody moves meanwhile
  std::size_t move_at_ = nothing_to_move;  // the slot where moving users to their places goes on
  unsigned move_rounds_ = 0;               // rounds to go, this one included
  std::size_t hand_ = 0;                   // where the next sweep begins
  std::vector<ResidentUser*> evicted_;     // readers may still hold these
  // Copies for readers of the figures, written under the mutex.
  std::atomic<std::size_t> block_bytes_{0}, slab_bytes_{0}, table_bytes_{0};
};

void Directory::Shard::note_memory() noexcept {
  slab_bytes_.store(arena_.slab_bytes_used(), std::memory_order_relaxed);
  table_bytes_.store(table().bytes(), std::memory_order_relaxed);
}

void Directory::Shard::free_block(ResidentUser* user) noexcept {
  block_bytes_.fetch_sub(taken(*user), std::memory_order_relaxed);
  if (places_.owns(user)) return places_.release(user);
  const std::size_t bytes = user->block_bytes;
  arena_.release(user, bytes);
}

void* Directory::Shard::allocate_block(std::size_t bytes, std::uint64_t hash) {
  if (void* const place = fits_place(bytes) ? places_.allocate(hash) : nullptr) {
    block_bytes_.fetch_add(PlacedBlocks::block_bytes, std::memory_order_relaxed);
    return place;
  }
  void* const block = arena_.allocate(bytes);
  block_bytes_.fetch_add(SecretArena::taken(bytes), std::memory_order_relaxed);
  return block;
}

// A new piece takes over some users' homes; rounds over the table bring home who lives far from it, as far as there is a
// free place. Whoever lives in the piece that their home is in is not looked at: the slot tells. A guest of that very piece
// stays one, and a round goes on only while more users come.
void Directory::Shard::grow_places() noexcept {
  if (!with_places_ || users.load(std::memory_order_relaxed) < users_worth_places || !places_.nearly_full()) return;
  try {
    for (std::size_t wanted = places_.pieces_wanted(); wanted > 0 && places_.can_grow(); --wanted) {
      places_.add_piece();
      move_at_ = 0;
      move_rounds_ = 2;
    }
  } catch (const std::bad_alloc&) {
    // There may still be room for a block, which is all that is needed.
  }
}

// Goes on with that round. `left_behind`: blocks that nobody finds any more, to be freed after their readers; has room.
void Directory::Shard::move_some(DirectoryTable& held, std::vector<ResidentUser*>& left_behind) {
  if (move_at_ == nothing_to_move || takes_ > 0) return;
  constexpr std::size_t ahead = 8;
  const auto far_from_home = [&](std::size_t slot) -> ResidentUser* {
    ResidentUser* const user = held.at(slot);
    return user == nullptr || places_.near_home(user, held.upper_hash_at(slot)) ? nullptr : user;
  };
  for (const std::size_t end = std::min(move_at_ + slots_moved_max, held.capacity()); move_at_ < end; ++move_at_) {
    if (const ResidentUser* const coming = far_from_home(move_at_ + ahead)) {
      __builtin_prefetch(coming);
      __builtin_prefetch(reinterpret_cast<const char*>(coming) + 128);
    }
    ResidentUser* const user = far_from_home(move_at_);
    if (user == nullptr || !fits_place(user->block_bytes)) continue;
    const std::uint64_t hash = hash_user(user->name());
    if (void* const home = places_.allocate_at_home(hash)) {
      move(held, move_at_, *user, hash, home, left_behind);
    } else if (ResidentUser* const guest = move_rounds_ > 1 ? guest_at_home_of(hash) : nullptr) {
      // The guest's place will be free in the next round.
      const std::uint64_t guest_hash = hash_user(guest->name());
      const DirectoryTable::Found found = held.find(guest->name(), guest_hash);
      void* const other = found.user == guest ? places_.allocate(guest_hash) : nullptr;
      if (other != nullptr) move(held, found.at, *guest, guest_hash, other, left_behind);
    }
  }
  if (move_at_ < held.capacity()) return;
  move_at_ = --move_rounds_ > 0 ? 0 : nothing_to_move;
}

void Directory::Shard::move(DirectoryTable& held, std::size_t slot, ResidentUser& user, std::uint64_t hash, void* to,
                            std::vector<ResidentUser*>& left_behind) {
  held.replace(slot, make_copy(to, user), hash);
  block_bytes_.fetch_add(PlacedBlocks::block_bytes, std::memory_order_relaxed);
  left_behind.push_back(&user);
}

// Somebody whose own places are elsewhere, at one of the places of this hash.
ResidentUser* Directory::Shard::guest_at_home_of(std::uint64_t hash) const noexcept {
  for (std::size_t choice = 0; choice < PlacedBlocks::choices; ++choice) {
    auto* const user = static_cast<ResidentUser*>(places_.block_at_home(hash, choice));
    // Frozen: nobody finds it any more, and it will soon be free.
    if (user == nullptr || ThrottleWord{user->throttle.word()}.frozen()) continue;
    if (!places_.at_home(user, hash_user(user->name()))) return user;
  }
  return nullptr;
}

// Makes room for one more. Returns the table that readers may still hold, to be deleted after them.
std::unique_ptr<DirectoryTable> Directory::Shard::grow_if_full() {
  DirectoryTable* const held = table_.load(std::memory_order_acquire);
  if (!held->full()) return nullptr;
  const bool many_live = (users.load(std::memory_order_relaxed) + 1) * 2 > held->capacity();
  auto grown = std::make_unique<DirectoryTable>(held->capacity() * (many_live ? 2 : 1));
  held->copy_to(*grown);
  table_.store(grown.release(), std::memory_order_release);
  hand_ = 0;
  if (move_at_ != nothing_to_move) move_at_ = 0;
  return std::unique_ptr<DirectoryTable>(held);
}

void Directory::Shard::put(const LoadedUser& loaded, std::uint64_t hash) {
  const std::size_t bytes = resident_bytes(loaded.record);
  std::unique_ptr<DirectoryTable> outgrown;
  std::vector<ResidentUser*> left_behind;
  {
    const std::lock_guard lock(mutex_);
    grow_places();
    left_behind.reserve(move_at_ == nothing_to_move ? 1 : 1 + slots_moved_max);
    outgrown = grow_if_full();
    DirectoryTable& held = *table_.load(std::memory_order_acquire);
    ResidentUser* const fresh = make_resident(allocate_block(bytes, hash), loaded);
    const DirectoryTable::Found old = held.find(loaded.record.user, hash);
    if (old.user != nullptr) {
      carry_over(*old.user, *fresh);
      held.replace(old.at, fresh, hash);
      left_behind.push_back(old.user);
    } else {
      held.insert(fresh, hash);
      users.fetch_add(1, std::memory_order_relaxed);
      loads.fetch_add(1, std::memory_order_relaxed);
    }
    move_some(held, left_behind);
    if (!left_behind.empty()) ++puts_with_readers_;
    note_memory();
  }
  if (left_behind.empty() && outgrown == nullptr) return;
  wait_for_readers();
  if (left_behind.empty()) return;
  const std::lock_guard lock(mutex_);
  --puts_with_readers_;
  for (ResidentUser* const user : left_behind) free_block(user);
  note_memory();
}

std::optional<LastWords> Directory::Shard::take(std::string_view user, std::uint64_t hash) {
  LastWords words;
  words.replay.reserve(devices_per_user_max);
  ResidentUser* erased = nullptr;
  {
    std::unique_lock lock(mutex_);
    // While moves wait for readers, one who verifies may be on a block that this user has moved from, and will look for
    // them again: until then they stay, since a charge is taken back where the user is.
    if (puts_with_readers_ > 0) {
      ++takes_;
      lock.unlock();
      wait_for_readers();
      lock.lock();
      --takes_;
    }
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
    bytes -= taken(*user);
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
  for (std::size_t i = 0; i < shard_count; ++i) {
    shards_[i] = std::make_unique<Shard>(tables_[i]);
    places_[i] = &shards_[i]->places();
  }
}
Directory::~Directory() = default;

void Directory::leave_out_places() noexcept {
  for (const auto& one : shards_) one->leave_out_places();
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
