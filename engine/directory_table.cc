#include "engine/directory_table.h"

#include "engine/directory.h"
#include "engine/mapped_memory.h"

namespace watchword::engine {
namespace {

constexpr std::uint64_t empty_slot = 0;
constexpr std::uint64_t erased_slot = 1;
constexpr int tag_shift = 48;
constexpr std::uint64_t address_mask = (std::uint64_t{1} << tag_shift) - 1;
constexpr std::size_t page_bytes = 4096;

std::uint64_t make_slot(const ResidentUser* user, std::uint64_t hash) {
  return reinterpret_cast<std::uint64_t>(user) | (hash >> tag_shift << tag_shift);
}
ResidentUser* user_of(std::uint64_t value) {
  return reinterpret_cast<ResidentUser*>(value & address_mask);
}
bool tag_matches(std::uint64_t value, std::uint64_t hash) {
  return value > erased_slot && (value >> tag_shift) == (hash >> tag_shift);
}
// The low bits chose the shard.
std::size_t home(std::uint64_t hash) {
  return static_cast<std::size_t>(hash >> 4);
}
// Header and device, which a verification writes, and the key states, which it reads.
void prefetch_block(const ResidentUser* user) {
  const char* const block = reinterpret_cast<const char*>(user);
  __builtin_prefetch(block, 1);
  __builtin_prefetch(block + 64, 1);
  __builtin_prefetch(block + 128);
}

std::size_t alignment_of(std::size_t bytes) {
  return bytes >= huge_page_bytes ? huge_page_bytes : page_bytes;
}

}  // namespace

DirectoryTable::DirectoryTable(std::size_t capacity)
    : mask_(capacity - 1),
      slots_(static_cast<std::uint64_t*>(
          map_memory(capacity * sizeof(std::uint64_t), alignment_of(capacity * sizeof(std::uint64_t))))) {}

std::size_t DirectoryTable::next_capacity(std::size_t capacity) noexcept {
  // From half a huge page on to a whole one: an access that misses the caches then misses no page table beside.
  constexpr std::size_t huge = huge_page_bytes / sizeof(std::uint64_t);
  return capacity * 2 == huge / 2 ? huge : capacity * 2;
}

DirectoryTable::~DirectoryTable() {
  unmap_memory(slots_, bytes());
}

DirectoryTable::Found DirectoryTable::find(std::string_view name, std::uint64_t hash) const noexcept {
  for (std::size_t at = home(hash);; ++at) {
    const std::uint64_t value = slot(at).load(std::memory_order_acquire);
    if (value == empty_slot) return {};
    if (!tag_matches(value, hash)) continue;
    ResidentUser* const user = user_of(value);
    // The block's lines come from memory side by side instead of one after another.
    prefetch_block(user);
    if (user->name() == name) return {user, at & mask_};
  }
}

ResidentUser* DirectoryTable::at(std::size_t at) const noexcept {
  const std::uint64_t value = slot(at).load(std::memory_order_relaxed);
  return value > erased_slot ? user_of(value) : nullptr;
}

void DirectoryTable::prefetch(std::uint64_t hash) const noexcept {
  __builtin_prefetch(&slots_[home(hash) & mask_]);
}

void DirectoryTable::prefetch_user(std::uint64_t hash) const noexcept {
  for (std::size_t at = home(hash);; ++at) {
    const std::uint64_t value = slot(at).load(std::memory_order_acquire);
    if (value == empty_slot) return;
    if (tag_matches(value, hash)) return prefetch_block(user_of(value));
  }
}

// An erased slot is taken again: readers compare names, and who looks for somebody who moves to an earlier slot meanwhile
// finds nobody, as before.
void DirectoryTable::insert(ResidentUser* user, std::uint64_t hash) noexcept {
  for (std::size_t at = home(hash);; ++at) {
    const std::uint64_t value = slot(at).load(std::memory_order_relaxed);
    if (value > erased_slot) continue;
    if (value == empty_slot) ++taken_;
    return slot(at).store(make_slot(user, hash), std::memory_order_release);
  }
}

void DirectoryTable::replace(std::size_t at, ResidentUser* user, std::uint64_t hash) noexcept {
  slot(at).store(make_slot(user, hash), std::memory_order_release);
}

void DirectoryTable::erase(std::size_t at) noexcept {
  slot(at).store(erased_slot, std::memory_order_release);
}

void DirectoryTable::copy_to(DirectoryTable& other) const noexcept {
  for (std::size_t at = 0; at <= mask_; ++at) {
    if (ResidentUser* const user = this->at(at)) other.insert(user, hash_user(user->name()));
  }
}

}  // namespace watchword::engine
