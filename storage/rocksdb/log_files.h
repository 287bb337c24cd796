// The file system as the write-ahead log needs it: its file is laid out ahead, with zeros that a thread behind writes some
// megabytes before the log gets there. A sync of what is overwritten is one write to the disk; of a file that grows it is
// the file system's journal, too, and takes half as long again. When a log is closed its file is cut to what was written;
// where a crash kept it from that, whoever reads it finds the end (log_end.h).
#pragma once

#include <rocksdb/file_system.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "storage/rocksdb/log_end.h"

namespace watchword::storage {

class LogFiles : public rocksdb::FileSystemWrapper {
 public:
  // A log that is shorter is not worth it.
  static constexpr std::uint64_t begin_bytes = 64 * 1024;
  // How much is laid out when, and how much is left when it is time for more.
  static constexpr std::uint64_t ahead_bytes = 4 << 20;
  static constexpr std::uint64_t ahead_bytes_min = 2 << 20;

  explicit LogFiles(const std::shared_ptr<rocksdb::FileSystem>& below) : FileSystemWrapper(below) {}
  ~LogFiles() override;  // when all files are closed

  // What is told of a log of which a part is left out, since a crash kept it from the disk.
  struct Cut {
    std::string text;
    bool doubtful = false;  // it could also be damage to the last that was synced before the crash
  };
  // Called before anybody reads such a log; what it throws makes the log one that cannot be read.
  void tell_of_cuts(std::function<void(const Cut&)> told) { told_ = std::move(told); }

  // What a batch that is written now may say in the log (rocksdb::WriteBatch::PutLogData).
  LogMark mark() const noexcept;
  // What a group commit is to say, one at a time, each after the one before is durable: a log is laid out ahead from the
  // second on, when the first is on the disk.
  LogMark mark_group() noexcept;

  const char* Name() const override { return "watchword.log-files"; }
  rocksdb::IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* file, rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus NewSequentialFile(const std::string& name, const rocksdb::FileOptions& options,
                                      std::unique_ptr<rocksdb::FSSequentialFile>* file,
                                      rocksdb::IODebugContext* debug) override;
  // Of one that is being written: how much of it is log.
  rocksdb::IOStatus GetFileSize(const std::string& name, const rocksdb::IOOptions& options, std::uint64_t* bytes,
                                rocksdb::IODebugContext* debug) override;

 private:
  struct Log;
  class WritableFile;
  class SequentialFile;

  std::shared_ptr<Log> open_log(const std::string& name);
  void closed(const Log& log);
  void needs_more() noexcept;
  void run();
  rocksdb::IOStatus find_end(const std::string& name, std::uint64_t number, const rocksdb::FileOptions& options, LogEnd* end,
                             rocksdb::IODebugContext* debug);
  rocksdb::IOStatus marks_of_later_logs(const std::string& name, std::uint64_t number, const rocksdb::FileOptions& options,
                                        LogMark* mark, rocksdb::IODebugContext* debug);
  rocksdb::IOStatus judge(const std::string& name, std::uint64_t number, const rocksdb::FileOptions& options,
                          std::uint64_t* bytes, rocksdb::IODebugContext* debug);

  std::function<void(const Cut&)> told_;
  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Log>> open_;  // by name; under mutex_
  std::shared_ptr<Log> newest_, before_;              // under mutex_; one that is closed is kept here for what it says
  std::optional<std::uint64_t> first_own_;            // the first log that this process wrote; under mutex_
  std::optional<std::uint64_t> cut_;                  // the log that was cut; under mutex_
  std::thread thread_;                                // begins with the first log; under mutex_
  std::atomic<std::uint32_t> asked_{0};               // how often the thread was
  std::atomic<bool> stopping_{false};
};

}  // namespace watchword::storage
