// Which threads go first where there are fewer cores than work: event loops and the committer are asked for something every
// moment, and need a core for microseconds; the store's background and who lists, exports and backs up take as long as it
// takes. All calls are about the calling thread, are wishes that a kernel or a sandbox may refuse, and change nothing where there are cores enough.
#pragma once

namespace watchword::engine {

// The thread asks for short slices, so that it is let on soon after it wakes, also while another thread's slice runs (Linux
// 6.12 and later; older ones do that anyway).
void rank_as_prompt() noexcept;
// The thread gives way: a tenth of what a prompt one gets where both want the core, since it must come to an end, too, while
// the core is never free.
void rank_as_background() noexcept;
// The thread stands back behind others: a thirtieth of their share where all want the core, all of it where nobody else
// does. Not less, since it may hold a lock that they want next.
void rank_as_patient() noexcept;

}  // namespace watchword::engine
