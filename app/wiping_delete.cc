// The program's operator delete: what is given back is wiped. A secret passes through texts, JSON values and buffers of
// several libraries on its way into the one answer that shows it; none of them is left behind in freed memory. Blocks beyond
// the bound hold no answer with a secret (RocksDB's arenas and caches do not), and wiping them would only touch pages in
// vain.
#include <malloc.h>
#include <string.h>

#include <cstdlib>
#include <new>

namespace {

constexpr std::size_t wiped_bytes_max = 256 * 1024;

void wipe_and_free(void* block) noexcept {
  if (block == nullptr) return;
  const std::size_t bytes = malloc_usable_size(block);
  if (bytes <= wiped_bytes_max) explicit_bzero(block, bytes);
  std::free(block);
}

}  // namespace

void* operator new(std::size_t bytes) {
  for (;;) {
    if (void* const block = std::malloc(bytes == 0 ? 1 : bytes)) return block;
    const std::new_handler handler = std::get_new_handler();
    if (handler == nullptr) throw std::bad_alloc();
    handler();
  }
}
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  const auto boundary = static_cast<std::size_t>(alignment);
  for (;;) {
    if (void* const block = std::aligned_alloc(boundary, (bytes + boundary - 1) / boundary * boundary)) return block;
    const std::new_handler handler = std::get_new_handler();
    if (handler == nullptr) throw std::bad_alloc();
    handler();
  }
}
// The array and nothrow forms come down to these.
void operator delete(void* block) noexcept {
  wipe_and_free(block);
}
void operator delete(void* block, std::size_t) noexcept {
  wipe_and_free(block);
}
void operator delete(void* block, std::align_val_t) noexcept {
  wipe_and_free(block);
}
void operator delete(void* block, std::size_t, std::align_val_t) noexcept {
  wipe_and_free(block);
}
