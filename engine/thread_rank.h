// Which threads go first where there are fewer cores than work: event loops and the committer are asked for something every
// moment, and need a core for microseconds; the store's background and who lists, exports and backs up take as
// long as it takes. All calls are about the calling thread, are wishes that a kernel or a sandbox may refuse, and change
// nothing where there are cores enough.
#pragma once

namespace watchword::engine {

// The thread asks for short slices, so that it is let on soon after it wakes, also while another thread's slice runs (Linux
// 6.12 and later; older ones do that anyway).
void rank_as_prompt() noexcept;
// The thread gives way: where both want the core it gets a tenth of what a usual one gets, and not less, since it must come
// to an end also while the core is never free. With a greater share, those who wake now and then owe it time too often, and
// wait for the scheduler's next tick.
void rank_as_background() noexcept;
// The thread stands back behind others: a thirtieth of their share where all want the core, all of it where nobody else
// does. Not less, since it may hold a lock that they want next.
void rank_as_patient() noexcept;
// Of the usual rank, but with pauses: from here on give_way() sleeps on this thread, as it does on those of the two ranks
// before, and sleeps end when they should.
void rank_as_pausing() noexcept;
// For work that stands back, called at each small piece of it. A scheduler that owes a thread time of a core lets it have
// that until the next tick, milliseconds, whoever wakes meanwhile: a thread whose last sleep here was a fifth of a
// millisecond ago sleeps for a moment, and who waits for its core goes on. On any other thread it does nothing.
void give_way() noexcept;
// The same for work that nobody waits for: it sleeps twice as long as it works, so that a core is idle now and then. A
// virtual machine's disk answers late where none is.
void give_way_often() noexcept;

}  // namespace watchword::engine
