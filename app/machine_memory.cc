#include "app/machine_memory.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>

namespace watchword::app {
namespace {

// The limits of the control group (version 2) and of all those around it.
std::size_t control_group_bytes(std::size_t most) {
  std::ifstream groups("/proc/self/cgroup");
  std::string line;
  while (std::getline(groups, line)) {
    if (line.rfind("0::/", 0) != 0) continue;
    const std::filesystem::path root = "/sys/fs/cgroup";
    for (std::filesystem::path group = root / line.substr(4);; group = group.parent_path()) {
      std::ifstream limit(group / "memory.max");
      std::size_t bytes = 0;
      if (limit >> bytes) most = std::min(most, bytes);  // "max" is no number
      if (group == root || group == group.root_path() || group.empty()) break;
    }
  }
  return most;
}

}  // namespace

std::size_t machine_memory_bytes() {
  const long pages = sysconf(_SC_PHYS_PAGES), page_bytes = sysconf(_SC_PAGE_SIZE);
  if (pages <= 0 || page_bytes <= 0) return std::size_t{1} << 30;
  return control_group_bytes(static_cast<std::size_t>(pages) * static_cast<std::size_t>(page_bytes));
}

}  // namespace watchword::app
