#include <cstdio>

#include "app/bulk_rows.h"
#include "app/commands.h"
#include "app/output_file.h"
#include "app/progress.h"
#include "engine/rcu.h"
#include "storage/open.h"

namespace watchword::app {

int run_export(const Config& config, const ExportOptions& options) {
  const engine::RcuThread rcu;
  const auto store = storage::open_rocks_store(config.store);
  if (options.with_secrets) {
    std::fprintf(stderr,
                 "Warning: this export holds every secret in the clear. Whoever reads it can sign in as anybody; keep it "
                 "encrypted, and "
                 "remove it when it has served.\n");
  }
  OutputFile output(options.output);
  Progress progress(0, output.on_terminal());
  output.line(std::string(csv_header));
  std::uint64_t devices = 0;
  store->for_each_user([&](const engine::UserRecord& user) {
    for (const engine::DeviceRecord& device : user.devices) {
      if (device.status != engine::DeviceStatus::active) continue;
      output.line(write_row(user.user, device, options.with_secrets));
      progress.show(++devices, 0);
    }
    return true;
  });
  output.finish();
  progress.clear();
  std::fprintf(stderr, "Exported %llu devices%s.\n", static_cast<unsigned long long>(devices),
               options.with_secrets ? "" : ", without their secrets");
  return 0;
}

}  // namespace watchword::app
