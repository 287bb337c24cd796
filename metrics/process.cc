#include "metrics/process.h"

#include <dirent.h>
#include <sys/resource.h>
#include <sys/timex.h>
#include <unistd.h>

#include <cstdio>
#include <ctime>
#include <fstream>
#include <optional>
#include <sstream>

namespace watchword::metrics {
namespace {

// Fields of /proc/self/stat after the program's name, which may hold anything (proc(5)): the first of these is field 3.
std::vector<double> stat_fields() {
  std::ifstream in("/proc/self/stat");
  std::string text;
  std::getline(in, text);
  const std::size_t end = text.rfind(')');
  std::vector<double> fields;
  if (end == std::string::npos || end + 4 >= text.size()) return fields;
  std::istringstream rest(text.substr(end + 4));  // ") S "
  for (double value = 0; rest >> value;) fields.push_back(value);
  return fields;
}

constexpr std::size_t first_field = 4;  // of stat_fields()
constexpr std::size_t threads_field = 20, start_field = 22, virtual_field = 23, resident_field = 24;

double field(const std::vector<double>& fields, std::size_t number) {
  return number - first_field < fields.size() ? fields[number - first_field] : 0;
}

double open_files() {
  DIR* const directory = opendir("/proc/self/fd");
  if (directory == nullptr) return 0;
  double count = -3;  // ".", ".." and the directory itself
  while (readdir(directory) != nullptr) ++count;
  closedir(directory);
  return count;
}

// Seconds since 1970 when the machine started, as the kernel tells it: it moves with the clock, so it is read once.
double boot_time() {
  timespec real{}, since_boot{};
  clock_gettime(CLOCK_REALTIME, &real);
  clock_gettime(CLOCK_BOOTTIME, &since_boot);
  return static_cast<double>(real.tv_sec - since_boot.tv_sec) +
         static_cast<double>(real.tv_nsec - since_boot.tv_nsec) * 1e-9;
}

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
}

struct ClockState {
  bool synchronised = false;
  double offset_s = 0;
  double error_max_s = 0;
};

// nullopt: not to be had here (some sandboxes).
std::optional<ClockState> read_clock() {
  timex state{};
  const int result = adjtimex(&state);
  if (result < 0) return std::nullopt;
  const double unit = (state.status & STA_NANO) != 0 ? 1e-9 : 1e-6;
  return ClockState{.synchronised = result != TIME_ERROR && (state.status & STA_UNSYNC) == 0,
                    .offset_s = static_cast<double>(state.offset) * unit,
                    .error_max_s = static_cast<double>(state.maxerror) * 1e-6};
}

}  // namespace

void expose_process(Exposition& exposition) {
  const double start = boot_time() + field(stat_fields(), start_field) / static_cast<double>(sysconf(_SC_CLK_TCK));
  exposition.add_collector([start](Collected& into) {
    const std::vector<double> stat = stat_fields();
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    rlimit files{};
    getrlimit(RLIMIT_NOFILE, &files);
    into.counter("process_cpu_seconds_total", "CPU time of the process, user and system.", {},
                 seconds(usage.ru_utime) + seconds(usage.ru_stime));
    into.gauge("process_resident_memory_bytes", "Resident memory of the process.", {},
               field(stat, resident_field) * static_cast<double>(sysconf(_SC_PAGESIZE)));
    into.gauge("process_virtual_memory_bytes", "Virtual memory of the process.", {}, field(stat, virtual_field));
    into.gauge("process_open_fds", "Open file descriptors.", {}, open_files());
    into.gauge("process_max_fds", "Limit of open file descriptors.", {}, static_cast<double>(files.rlim_cur));
    into.gauge("process_threads", "Threads of the process.", {}, field(stat, threads_field));
    into.gauge("process_start_time_seconds", "When the process started, seconds since 1970.", {}, start);
  });
}

void expose_clock(Exposition& exposition) {
  exposition.add_collector([](Collected& into) {
    const std::optional<ClockState> clock = read_clock();
    into.gauge("watchword_clock_readable", "Whether the kernel tells the state of its clock (adjtimex).", {}, clock ? 1 : 0);
    into.gauge("watchword_clock_seconds", "The server's clock, seconds since 1970, at the scrape.", {},
               std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count());
    if (!clock) return;
    into.gauge("watchword_clock_synchronized", "Whether the kernel's clock is kept by a time service.", {},
               clock->synchronised ? 1 : 0);
    into.gauge("watchword_clock_offset_seconds", "What the kernel still corrects of its clock.", {}, clock->offset_s);
    into.gauge("watchword_clock_error_max_seconds", "Bound of the clock's error, as the kernel knows it.", {},
               clock->error_max_s);
  });
}

}  // namespace watchword::metrics
