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
  if (count == 0) return;  // a text that is empty may point nowhere
  const std::size_t begin = pending_tail_ % capacity;
  const std::size_t before_end = std::min(count, capacity - begin);
  std::memcpy(bytes_.get() + begin, from, before_end);
  if (before_end < count) std::memcpy(bytes_.get(), static_cast<const char*>(from) + before_end, count - before_end);
  pending_tail_ += count;
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
  const std::size_t begin = pending_tail_ % capacity;
  if (capacity - begin < sum) {
    put(&lengths, sizeof lengths);
    for (const std::string_view text : all) put(text.data(), text.size());
    return;
  }
  char* to = bytes_.get() + begin;  // all of it before the end
  std::memcpy(to, &lengths, sizeof lengths);
  to += sizeof lengths;
  for (const std::string_view text : all) {
    if (!text.empty()) std::memcpy(to, text.data(), text.size());  // an empty one may point nowhere
    to += text.size();
  }
  pending_tail_ += sum;
}

void AuditRing::take(std::vector<AuditNote>& notes) {
  const std::uint64_t tail = tail_.load(std::memory_order_acquire);
  const std::size_t count = tail - taken_, begin = taken_ % capacity;
  std::string_view rest(bytes_.get() + begin, std::min(count, capacity - begin));
  if (rest.size() < count) {
    whole_.assign(rest.begin(), rest.end());
    whole_.insert(whole_.end(), bytes_.get(), bytes_.get() + (count - rest.size()));
    rest = {whole_.data(), whole_.size()};
  }
  const auto next = [&rest](std::size_t size) {
    const std::string_view text = rest.substr(0, size);
    rest.remove_prefix(size);
    return text;
  };
  while (!rest.empty()) {
    Lengths lengths;
    std::memcpy(&lengths, next(sizeof lengths).data(), sizeof lengths);
    AuditNote& note = notes.emplace_back();
    note.at.value = lengths.at_ms;
    std::size_t i = 0;
    for (std::string_view* const text :
         {&note.actor, &note.address, &note.trace, &note.action, &note.user, &note.device, &note.detail}) {
      *text = next(lengths.bytes[i++]);
    }
  }
  taken_ = tail;
}

}  // namespace watchword::engine
