// What the process and the machine's clock say about themselves, read at each scrape.
#pragma once

#include "metrics/exposition.h"

namespace watchword::metrics {

// process_* under the names that Prometheus' own clients use: memory, CPU time, open files, threads, start.
void expose_process(Exposition& exposition);
// The kernel's view of its clock (adjtimex): offset, error bound, whether it is synchronised. What verification's steps rest
// on.
void expose_clock(Exposition& exposition);

}  // namespace watchword::metrics
