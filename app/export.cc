#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <stdexcept>

#include "app/bulk_rows.h"
#include "app/commands.h"
#include "engine/rcu.h"
#include "storage/open.h"

namespace watchword::app {
namespace {

// Buffered; every fault of writing is an exception, so that a cut file is never taken for a whole one.
class Output {
 public:
  explicit Output(const std::string& path) : path_(path.empty() ? "standard output" : path) {
    if (path.empty()) {
      file_ = stdout;
      return;
    }
    // Never over a file that somebody else may read: a new one, for the owner alone.
    const int descriptor = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (descriptor < 0) throw std::runtime_error("cannot make " + path_ + ": " + std::strerror(errno));
    file_ = fdopen(descriptor, "w");
    if (file_ == nullptr) throw std::runtime_error("cannot write " + path_);
  }
  ~Output() {
    if (file_ != nullptr && file_ != stdout) std::fclose(file_);
  }
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  void line(std::string text) {
    text += '\n';
    if (std::fwrite(text.data(), 1, text.size(), file_) != text.size()) fail();
  }
  void finish() {
    if (std::fflush(file_) != 0) fail();
    if (file_ == stdout) return;
    if (fsync(fileno(file_)) != 0) fail();
  }

 private:
  [[noreturn]] void fail() const { throw std::runtime_error("cannot write " + path_ + ": " + std::strerror(errno)); }
  std::string path_;
  std::FILE* file_ = nullptr;
};

}  // namespace

int run_export(const Config& config, const ExportOptions& options) {
  const engine::RcuThread rcu;
  const auto store = storage::open_rocks_store(config.store);
  if (options.with_secrets) {
    std::fprintf(stderr,
                 "Warning: this export holds every secret in the clear. Whoever reads it can sign in as anybody; keep it "
                 "encrypted, and "
                 "remove it when it has served.\n");
  }
  Output output(options.output);
  output.line(std::string(csv_header));
  std::uint64_t devices = 0;
  store->for_each_user([&](const engine::UserRecord& user) {
    for (const engine::DeviceRecord& device : user.devices) {
      if (device.status != engine::DeviceStatus::active) continue;
      output.line(write_row(user.user, device, options.with_secrets));
      ++devices;
    }
    return true;
  });
  output.finish();
  std::fprintf(stderr, "Exported %llu devices%s.\n", static_cast<unsigned long long>(devices),
               options.with_secrets ? "" : ", without their secrets");
  return 0;
}

}  // namespace watchword::app
