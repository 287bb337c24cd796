#include "engine/directory_table.h"

#include "engine/mapped_memory.h"
#include "engine/user_hash.h"

namespace watchword::engine {
namespace {

using namespace directory_slots;

constexpr std::size_t page_bytes = 4096;

std::uint64_t make_slot(const ResidentUser* user, std::uint64_t hash) {
  return reinterpret_cast<std::uint64_t>(user) | (hash >> tag_shift << tag_shift);
}
std::size_t alignment_of(std::size_t bytes) {
  return bytes >= huge_page_bytes ? huge_page_bytes : page_bytes;
}

}  // namespace

DirectoryTable::DirectoryTable(std::size_t capacity)
    : mask_(capacity - 1),
      slots_(static_cast<std::uint64_t*>(
          map_memory(capacity * sizeof(std::uint64_t), alignment_of(capacity * sizeof(std::uint64_t))))) {}

DirectoryTable::~DirectoryTable() {
  unmap_memory(slots_, bytes());
}

ResidentUser* DirectoryTable::at(std::size_t at) const noexcept {
  const std::uint64_t value = slot(at).load(std::memory_order_relaxed);
  return value > erased_slot ? user_of(value) : nullptr;
}

std::uint64_t DirectoryTable::upper_hash_at(std::size_t at) const noexcept {
  return slot(at).load(std::memory_order_relaxed) & ~address_mask;
}

// An erased slot is taken again: readers compare names, and who looks for somebody who moves to an earlier slot meanwhile
// finds nobody, as before.
void DirectoryTable::insert(ResidentUser* user, std::uint64_t hash) noexcept {
  for (std::size_t at = first_line(hash);; ++at) {
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
