#include "engine/audit_ring.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>

namespace watchword::engine {
namespace {

// What stands before the texts.
struct Lengths {
  std::int64_t at_ms = 0;
  std::array<std::uint16_t, 7> bytes{};
};

}  // namespace

bool AuditRing::has_room(std::size_t count) noexcept {
  const std::size_t wanted = count * note_bytes_max;
  if (pending_tail_ + wanted - head_seen_ <= capacity) return true;
  head_seen_ = head_.load(std::memory_order_acquire);
  return pending_tail_ + wanted - head_seen_ <= capacity;
}

void AuditRing::put(const void* from, std::size_t count) noexcept {
  const std::size_t begin = pending_tail_ % capacity;
  const std::size_t before_end = std::min(count, capacity - begin);
  std::memcpy(bytes_.get() + begin, from, before_end);
  std::memcpy(bytes_.get(), static_cast<const char*>(from) + before_end, count - before_end);
  pending_tail_ += count;
}

void AuditRing::get(std::uint64_t at, void* into, std::size_t count) const noexcept {
  const std::size_t begin = at % capacity;
  const std::size_t before_end = std::min(count, capacity - begin);
  std::memcpy(into, bytes_.get() + begin, before_end);
  std::memcpy(static_cast<char*>(into) + before_end, bytes_.get(), count - before_end);
}

void AuditRing::push(const AuditNote& note) noexcept {
  std::array<std::string_view, texts> all = {note.actor, note.address, note.trace, note.action,
                                             note.user,  note.device,  note.detail};
  std::size_t sum = sizeof(Lengths);
  for (const std::string_view text : all) sum += text.size();
  if (sum > note_bytes_max) {
    sum -= all.back().size();
    all.back() = {};
  }
  assert(sum <= note_bytes_max);
  Lengths lengths{.at_ms = note.at.value};
  std::transform(all.begin(), all.end(), lengths.bytes.begin(),
                 [](std::string_view text) { return static_cast<std::uint16_t>(text.size()); });
  put(&lengths, sizeof lengths);
  for (const std::string_view text : all) put(text.data(), text.size());
}

void AuditRing::take(std::vector<AuditEntry>& entries) {
  const std::uint64_t tail = tail_.load(std::memory_order_acquire);
  std::uint64_t head = head_.load(std::memory_order_relaxed);
  while (head != tail) {
    Lengths lengths;
    get(head, &lengths, sizeof lengths);
    head += sizeof lengths;
    AuditEntry& entry = entries.emplace_back();
    entry.at.value = lengths.at_ms;
    std::size_t i = 0;
    for (std::string* const text : {&entry.origin.actor, &entry.origin.address, &entry.origin.trace, &entry.action,
                                    &entry.user, &entry.device, &entry.detail}) {
      const std::size_t size = lengths.bytes[i++];
      text->resize(size);
      get(head, text->data(), size);
      head += size;
    }
  }
  head_.store(head, std::memory_order_release);
}

}  // namespace watchword::engine
