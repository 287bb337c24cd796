#include "engine/placed_blocks.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <cassert>

namespace watchword::engine {

void PlacedBlocks::add_piece() {
  pieces_.reserve(pieces_.size() + 1);
  auto added = std::make_unique<Piece>();
  added->memory = static_cast<unsigned char*>(arena_.take_piece(piece_bytes));
  if (pieces_.empty()) {
    added->buckets = buckets;
    for (auto& owner : piece_of_bucket_) owner.store(added->memory, std::memory_order_relaxed);
  } else {
    // From each bucket's owner as long as that has more than its share; so all have about as many.
    const std::size_t share = buckets / (pieces_.size() + 1);
    for (std::size_t at = 0; at < buckets && added->buckets < share; ++at) {
      Piece* const owner = piece_holding(piece_of_bucket_[at].load(std::memory_order_relaxed));
      if (owner->buckets <= share) continue;
      --owner->buckets;
      ++added->buckets;
      piece_of_bucket_[at].store(added->memory, std::memory_order_relaxed);
    }
  }
  const std::size_t before = pieces_up_to(added->memory);
  pieces_.insert(pieces_.begin() + static_cast<std::ptrdiff_t>(before), std::move(added));
}

// How many pieces begin at or before the address.
std::size_t PlacedBlocks::pieces_up_to(const unsigned char* address) const noexcept {
  const auto after = std::upper_bound(pieces_.begin(), pieces_.end(), address,
                                      [](const unsigned char* sought, const auto& piece) { return sought < piece->memory; });
  return static_cast<std::size_t>(after - pieces_.begin());
}

PlacedBlocks::Piece* PlacedBlocks::piece_holding(const void* block) const noexcept {
  const auto* const address = static_cast<const unsigned char*>(block);
  const std::size_t up_to = pieces_up_to(address);
  if (up_to == 0) return nullptr;
  Piece* const piece = pieces_[up_to - 1].get();
  return address < piece->memory + piece_bytes ? piece : nullptr;
}

PlacedBlocks::Piece* PlacedBlocks::piece_of(std::uint64_t hash) const noexcept {
  const unsigned char* const memory = piece_of_bucket_[bucket(hash)].load(std::memory_order_relaxed);
  return memory == nullptr ? nullptr : piece_holding(memory);
}

void* PlacedBlocks::take(Piece& piece, std::size_t place) noexcept {
  piece.taken.set(place);
  ++live_;
  return piece.memory + place * block_bytes;
}

void* PlacedBlocks::allocate_at_home(std::uint64_t hash) noexcept {
  Piece* const piece = piece_of(hash);
  if (piece == nullptr) return nullptr;
  for (std::size_t choice = 0; choice < choices; ++choice) {
    const std::size_t wanted = place(hash, choice);
    if (!piece->taken.test(wanted)) return take(*piece, wanted);
  }
  return nullptr;
}

void* PlacedBlocks::allocate(std::uint64_t hash) noexcept {
  if (live_ == places()) return nullptr;
  if (void* const block = allocate_at_home(hash)) return block;
  for (;; ++hand_) {
    if (hand_ >= places()) hand_ = 0;
    Piece& piece = *pieces_[hand_ / places_per_piece];
    if (!piece.taken.test(hand_ % places_per_piece)) return take(piece, hand_ % places_per_piece);
  }
}

void* PlacedBlocks::block_at_home(std::uint64_t hash, std::size_t choice) const noexcept {
  const Piece* const piece = piece_of(hash);
  if (piece == nullptr || !piece->taken.test(place(hash, choice))) return nullptr;
  return piece->memory + place(hash, choice) * block_bytes;
}

bool PlacedBlocks::at_home(const void* block, std::uint64_t hash) const noexcept {
  const unsigned char* const memory = piece_of_bucket_[bucket(hash)].load(std::memory_order_relaxed);
  if (memory == nullptr) return false;
  for (std::size_t choice = 0; choice < choices; ++choice) {
    if (block == memory + place(hash, choice) * block_bytes) return true;
  }
  return false;
}

void PlacedBlocks::release(void* block) noexcept {
  Piece* const piece = piece_holding(block);
  assert(piece != nullptr);
  OPENSSL_cleanse(block, block_bytes);
  piece->taken.reset(static_cast<std::size_t>(static_cast<unsigned char*>(block) - piece->memory) / block_bytes);
  --live_;
}

}  // namespace watchword::engine
