#include <fcntl.h>
#include <linux/magic.h>
#include <sys/resource.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>

#include <fmt/format.h>

#include "api/tls_gate.h"
#include "app/clock_watch.h"
#include "app/doctor.h"
#include "engine/types.h"
#include "storage/clock_file.h"

namespace watchword::app {
namespace {

constexpr std::int64_t day_s = 86'400;
constexpr std::int64_t certificate_days_min = 14;
constexpr std::int64_t clock_error_us_max = 1'000'000;  // a thirtieth of a step
constexpr std::chrono::milliseconds sync_max{20};       // an answer waits for one; the service level is 10 ms at the median
constexpr int syncs_tried = 25;
// Beside connections: tables of the store, its logs, listeners, timers.
constexpr std::uint64_t other_files = 4096 + 256;
constexpr std::uint64_t locked_bytes_min = 64u << 20;  // keys of some hundred thousand people

Finding good(std::string check, std::string found) {
  return {.check = std::move(check), .health = Health::ok, .found = std::move(found), .advice = {}};
}
Finding bad(Health health, std::string check, std::string found, std::string advice) {
  return {.check = std::move(check), .health = health, .found = std::move(found), .advice = std::move(advice)};
}

std::optional<Finding> check_room(const storage::RocksStoreOptions& options) {
  struct statvfs disk {};
  if (statvfs(options.data_dir.c_str(), &disk) != 0) return std::nullopt;
  const std::uint64_t free = static_cast<std::uint64_t>(disk.f_bavail) * disk.f_frsize;
  const std::string found = fmt::format("{} MiB free, {} MiB needed", free >> 20, options.free_bytes_min >> 20);
  if (free < options.free_bytes_min) {
    return bad(Health::fail, "disk", found, "make room: with less than [data] free_bytes_min every write is refused");
  }
  if (disk.f_files > 0 && disk.f_favail < 1000) {
    return bad(Health::fail, "disk", fmt::format("{} files can still be made", disk.f_favail), "make room for files");
  }
  if (free / 4 < options.free_bytes_min) return bad(Health::warn, "disk", found, "make room before it runs out");
  return good("disk", found);
}

std::optional<Finding> check_kind(const storage::RocksStoreOptions& options) {
  struct statfs disk {};
  if (statfs(options.data_dir.c_str(), &disk) != 0) return std::nullopt;
  const auto kind = static_cast<std::uint64_t>(disk.f_type);
  if (kind == TMPFS_MAGIC || kind == RAMFS_MAGIC) {
    return bad(Health::fail, "disk", "the data directory is in memory", "put it on a disk: nothing there outlives a reboot");
  }
  if (kind == NFS_SUPER_MAGIC || kind == SMB_SUPER_MAGIC || kind == 0xff534d42 || kind == FUSE_SUPER_MAGIC) {
    return bad(Health::warn, "disk", "the data directory is on a network file system",
               "put it on a local disk: locks and syncs may not hold there");
  }
  return std::nullopt;
}

// How long one sync of a little data takes, at the median.
std::optional<std::chrono::microseconds> sync_time(const std::filesystem::path& directory) {
  std::string path = (directory / "doctor-XXXXXX").string();
  const int file = mkostemp(path.data(), O_CLOEXEC);
  if (file < 0) return std::nullopt;
  std::vector<std::chrono::microseconds> took;
  const std::string block(4096, 'w');
  for (int i = 0; i < syncs_tried; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    if (pwrite(file, block.data(), block.size(), i * static_cast<off_t>(block.size())) < 0 || fdatasync(file) != 0) break;
    took.push_back(std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - begin));
  }
  close(file);
  unlink(path.c_str());
  if (took.size() != syncs_tried) return std::nullopt;
  std::nth_element(took.begin(), took.begin() + syncs_tried / 2, took.end());
  return took[syncs_tried / 2];
}

// Soft limits of another process, by the words of /proc; of our own, where it is 0 or cannot be read: as a server raises
// them.
struct Limits {
  std::uint64_t files = 0;
  std::uint64_t locked_bytes = 0;
};
Limits limits_of(std::int64_t process) {
  const auto read = [&](int resource) -> std::uint64_t {
    rlimit limit{};
    if (process == 0 ||
        prlimit(static_cast<pid_t>(process), static_cast<__rlimit_resource>(resource), nullptr, &limit) != 0) {
      getrlimit(static_cast<__rlimit_resource>(resource), &limit);
      if (resource == RLIMIT_NOFILE) limit.rlim_cur = limit.rlim_max;
    }
    return limit.rlim_cur;
  };
  return {.files = read(RLIMIT_NOFILE), .locked_bytes = read(RLIMIT_MEMLOCK)};
}

Finding check_certificate(const api::ListenerOptions& listener) {
  const std::string where = fmt::format("{}:{}, {}", listener.host, listener.port, listener.tls.certificate_file.string());
  try {
    const api::TlsGate gate(listener.tls, {});
    const std::int64_t left_s = gate.expires_at_s() - engine::wall_now().seconds();
    if (left_s <= 0) return bad(Health::fail, "certificate", where + " has expired", "renew it; it is read again by itself");
    const std::string found = fmt::format("{} is good for {} days", where, left_s / day_s);
    return left_s < certificate_days_min * day_s
               ? bad(Health::warn, "certificate", found, "renew it; it is read again by itself")
               : good("certificate", found);
  } catch (const std::exception& fault) {
    return bad(Health::fail, "certificate", fault.what(), "a server does not start with this");
  }
}

}  // namespace

Findings check_clock(const storage::RocksStoreOptions& options) {
  Findings findings;
  timex state{};
  const int told = adjtimex(&state);
  if (told < 0) {
    findings.push_back(bad(Health::warn, "clock", "the kernel does not say whether it is synchronised",
                           "run a time service: chrony or systemd-timesyncd"));
  } else if (told == TIME_ERROR || (state.status & STA_UNSYNC) != 0) {
    findings.push_back(bad(Health::warn, "clock", "it is not synchronised",
                           "run a time service: chrony or systemd-timesyncd; a clock that is off refuses everybody"));
  } else if (state.maxerror > clock_error_us_max) {
    findings.push_back(bad(Health::warn, "clock", fmt::format("it may be off by {} ms", state.maxerror / 1000),
                           "look at the time service"));
  } else {
    findings.push_back(good("clock", fmt::format("synchronised, to {} ms", state.maxerror / 1000)));
  }
  try {
    const std::int64_t now_ms = engine::wall_now().value;
    const auto latest = storage::read_clock(options.data_dir);
    const std::chrono::milliseconds behind(latest ? latest->value - now_ms : 0);
    if (behind > clock_behind_max) {
      findings.push_back(
          bad(Health::fail, "clock", fmt::format("it is {} s behind what it has been", behind.count() / 1000),
              "set it right, or, if it is right now, remove " + storage::clock_file(options.data_dir).string()));
    }
  } catch (const storage::OpenError& fault) {
    findings.push_back(bad(Health::fail, "clock", fault.what(), "make it readable for the server's user"));
  }
  return findings;
}

Findings check_disk(const storage::RocksStoreOptions& options) {
  Findings findings;
  const std::optional<Finding> room = check_room(options);
  if (!room) return {bad(Health::fail, "disk", "the data directory cannot be looked at", "see above")};
  findings.push_back(*room);
  if (const std::optional<Finding> kind = check_kind(options)) findings.push_back(*kind);
  const auto took = sync_time(options.data_dir);
  if (!took) {
    findings.push_back(
        bad(Health::fail, "disk", "nothing can be written and synced there", "see the permissions and the disk"));
  } else if (*took > sync_max) {
    findings.push_back(bad(Health::warn, "disk",
                           fmt::format("a sync takes {:.1f} ms", static_cast<double>(took->count()) / 1000),
                           "every acceptance waits for one; use a disk with a write cache that outlives a power cut"));
  } else {
    findings.push_back(good("disk", fmt::format("a sync takes {:.2f} ms", static_cast<double>(took->count()) / 1000)));
  }
  return findings;
}

Findings check_limits(const Config& config, std::int64_t process) {
  Findings findings;
  const Limits limits = limits_of(process);
  const std::uint64_t wanted = config.server.connections_max + other_files;
  if (limits.files < wanted) {
    findings.push_back(bad(Health::warn, "limits", fmt::format("{} open files, {} may be needed", limits.files, wanted),
                           "raise LimitNOFILE=, or lower [server] connections_max"));
  } else {
    findings.push_back(good("limits", limits.files == RLIM_INFINITY ? std::string("open files without limit")
                                                                    : fmt::format("{} open files", limits.files)));
  }
  if (limits.locked_bytes != RLIM_INFINITY && limits.locked_bytes < locked_bytes_min && geteuid() != 0) {
    findings.push_back(bad(Health::warn, "limits", fmt::format("{} KiB may be locked in memory", limits.locked_bytes >> 10),
                           "set LimitMEMLOCK=infinity: keys of people must not get into the swap space"));
  } else {
    findings.push_back(good("limits", "memory with keys can be locked"));
  }
  return findings;
}

Findings check_certificates(const Config& config) {
  Findings findings;
  for (const api::ListenerOptions& listener : config.server.listeners) {
    if (listener.tls.enabled()) {
      findings.push_back(check_certificate(listener));
    } else if (listener.host != "127.0.0.1" && listener.host != "::1") {
      findings.push_back(bad(Health::warn, "certificate",
                             fmt::format("{}:{} speaks plain HTTP", listener.host, listener.port),
                             "codes and keys go over it in the clear: give it a certificate, or a proxy on this machine"));
    }
  }
  return findings;
}

}  // namespace watchword::app
