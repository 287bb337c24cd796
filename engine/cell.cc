#include "engine/cell.h"

#include "engine/words.h"

namespace watchword::engine {

CellValue Cell::freeze() noexcept {
  for (;;) {
    const CellValue held = load();
    if (ReplayWord{held.word}.frozen()) return {held.word & ~ReplayWord::frozen_bit, held.receipt};
    if (exchange(held, {held.word | ReplayWord::frozen_bit, held.receipt})) return held;
  }
}

void Cell::thaw() noexcept {
  __atomic_fetch_and(&word_, ~ReplayWord::frozen_bit, __ATOMIC_ACQ_REL);
}

}  // namespace watchword::engine
