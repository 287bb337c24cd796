// The audit trail as a file of JSON lines, for whoever ships it to a SIEM. Only ever appended to, with a sync before an
// entry counts as taken. When the file was moved away or removed (logrotate), the next entry begins a new one; reopen() has
// that looked at anew in any case.
#pragma once

#include <atomic>
#include <filesystem>
#include <string>

#include "api/trail_receiver.h"

namespace watchword::api {

class TrailFile final : public TrailReceiver {
 public:
  explicit TrailFile(std::filesystem::path path) : path_(std::move(path)) {}
  ~TrailFile() override;

  std::size_t batch_max() const override { return 256; }
  Delivery deliver(std::span<const engine::AuditRow> rows, unsigned attempt) override;
  // Any thread.
  void reopen() noexcept { reopen_.store(true, std::memory_order_relaxed); }

 private:
  bool still_there() const;
  void open();
  void write(const std::string& text);

  const std::filesystem::path path_;
  int file_ = -1;
  std::atomic<bool> reopen_{false};
};

}  // namespace watchword::api
