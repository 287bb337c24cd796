// audit verify, head and export: of a data directory that no server has open.
#include <cstdio>
#include <stdexcept>

#include <boost/json.hpp>

#include "api/audit_json.h"
#include "app/commands.h"
#include "storage/audit.h"
#include "storage/files.h"

namespace watchword::app {

int run_audit_verify(const Config& config, const std::string& head_file) {
  std::optional<std::string> head;
  if (!head_file.empty()) {
    head = storage::read_file(head_file);
    if (!head) throw std::runtime_error("there is no file " + head_file);
  }
  const storage::AuditVerdict verdict = storage::verify_audit(config.store, head);
  if (!verdict.intact) {
    std::fprintf(stderr, "The audit trail is broken: %s.\n", verdict.reason.c_str());
    return 1;
  }
  if (verdict.last == 0) {
    std::printf("The audit trail is intact, and empty.\n");
  } else {
    std::printf("The audit trail is intact: entries %llu to %llu.\n", static_cast<unsigned long long>(verdict.first),
                static_cast<unsigned long long>(verdict.last));
  }
  if (!head) std::fprintf(stderr, "Without --head, a cut end does not show; see: watchword audit head\n");
  return 0;
}

int run_audit_head(const Config& config) {
  std::printf("%s\n", storage::audit_head(config.store).c_str());
  return 0;
}

int run_audit_export(const Config& config) {
  storage::for_each_audit_row(config.store, [](const engine::AuditRow& row) {
    const std::string line = boost::json::serialize(api::audit_object(row)) + "\n";
    if (std::fwrite(line.data(), 1, line.size(), stdout) != line.size()) throw std::runtime_error("cannot write the export");
  });
  if (std::fflush(stdout) != 0) throw std::runtime_error("cannot write the export");
  return 0;
}

}  // namespace watchword::app
