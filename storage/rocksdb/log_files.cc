#include "storage/rocksdb/log_files.h"

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "engine/thread_rank.h"
#include "storage/rocksdb/io_pace.h"

namespace watchword::storage {
namespace {

constexpr auto piece_bytes = static_cast<std::uint64_t>(IoPace::piece_bytes);

// "…/000123.log"; nullopt: no log.
std::optional<std::uint64_t> log_number(std::string_view name) {
  constexpr std::string_view suffix = ".log";
  if (!name.ends_with(suffix)) return std::nullopt;
  name.remove_suffix(suffix.size());
  name.remove_prefix(name.rfind('/') + 1);  // npos + 1 is 0
  std::uint64_t number = 0;
  const auto [end, fault] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (fault != std::errc{} || end != name.data() + name.size()) return std::nullopt;
  return number;
}

}  // namespace

// One that is being written.
struct LogFiles::Log {
  Log(std::string log_name, std::uint64_t log_number) : name(std::move(log_name)), number(log_number) {}

  const std::string name;
  const std::uint64_t number;
  std::atomic<std::uint64_t> size{0};    // what was written
  std::atomic<std::uint64_t> synced{0};  // and is on the disk
  std::atomic<std::uint32_t> marks{0};
  // Zeros are written from here on only, and only under `mutex`; so is the log's own content. Grows.
  std::atomic<std::uint64_t> laid_out{0};
  std::mutex mutex;
  bool open = true;               // under `mutex`
  std::atomic<bool> full{false};  // the disk took no more zeros: it is not asked again

  bool wants_more() const noexcept {
    return !full.load(std::memory_order_relaxed) && marks.load(std::memory_order_relaxed) >= 2 &&
           size.load(std::memory_order_relaxed) >= begin_bytes &&
           laid_out.load(std::memory_order_relaxed) < size.load(std::memory_order_relaxed) + ahead_bytes_min;
  }
  void lay_out(const std::atomic<bool>& stopping);
  std::optional<std::uint64_t> lay_out_piece(int file);
};

class LogFiles::WritableFile : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  WritableFile(std::unique_ptr<rocksdb::FSWritableFile> plain, LogFiles& files, std::shared_ptr<Log> log)
      : FSWritableFileOwnerWrapper(std::move(plain)), files_(files), log_(std::move(log)) {}
  ~WritableFile() override { end(); }

  rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                           rocksdb::IODebugContext* debug) override {
    return append(data, [&] { return FSWritableFileOwnerWrapper::Append(data, options, debug); });
  }
  rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                           const rocksdb::DataVerificationInfo& verification, rocksdb::IODebugContext* debug) override {
    return append(data, [&] { return FSWritableFileOwnerWrapper::Append(data, options, verification, debug); });
  }
  rocksdb::IOStatus Sync(const rocksdb::IOOptions& options, rocksdb::IODebugContext* debug) override {
    return sync([&] { return FSWritableFileOwnerWrapper::Sync(options, debug); });
  }
  rocksdb::IOStatus Fsync(const rocksdb::IOOptions& options, rocksdb::IODebugContext* debug) override {
    return sync([&] { return FSWritableFileOwnerWrapper::Fsync(options, debug); });
  }
  rocksdb::IOStatus Close(const rocksdb::IOOptions& options, rocksdb::IODebugContext* debug) override {
    rocksdb::IOStatus status = FSWritableFileOwnerWrapper::Close(options, debug);
    end();
    return status;
  }
  std::uint64_t GetFileSize(const rocksdb::IOOptions&, rocksdb::IODebugContext*) override { return log_->size; }

 private:
  template <typename Write>
  rocksdb::IOStatus append(const rocksdb::Slice& data, const Write& write) {
    const std::uint64_t end = log_->size.load(std::memory_order_relaxed) + data.size();
    std::unique_lock lock(log_->mutex, std::defer_lock);
    if (end > log_->laid_out.load(std::memory_order_acquire)) lock.lock();
    rocksdb::IOStatus status = write();
    if (status.ok()) log_->size.store(end, std::memory_order_release);
    return status;
  }
  template <typename Write>
  rocksdb::IOStatus sync(const Write& write) {
    const std::uint64_t size = log_->size.load(std::memory_order_acquire);
    rocksdb::IOStatus status = write();
    if (!status.ok()) return status;
    if (size > log_->synced.load(std::memory_order_relaxed)) log_->synced.store(size, std::memory_order_release);
    if (log_->wants_more()) files_.needs_more();
    return status;
  }
  void end() {
    {
      const std::lock_guard lock(log_->mutex);
      if (!std::exchange(log_->open, false)) return;
    }
    // Where this fails the zeros stay, and whoever reads the log leaves them alone.
    if (log_->laid_out > log_->size)
      static_cast<void>(::truncate(log_->name.c_str(), static_cast<off_t>(log_->size.load())));
    files_.closed(*log_);
  }

  LogFiles& files_;
  const std::shared_ptr<Log> log_;
};

// The beginning of a file.
class LogFiles::SequentialFile : public rocksdb::FSSequentialFileOwnerWrapper {
 public:
  SequentialFile(std::unique_ptr<rocksdb::FSSequentialFile> whole, std::uint64_t bytes)
      : FSSequentialFileOwnerWrapper(std::move(whole)), left_(bytes) {}

  rocksdb::IOStatus Read(std::size_t bytes, const rocksdb::IOOptions& options, rocksdb::Slice* result, char* scratch,
                         rocksdb::IODebugContext* debug) override {
    rocksdb::IOStatus status = FSSequentialFileOwnerWrapper::Read(std::min(bytes, left_), options, result, scratch, debug);
    if (status.ok()) left_ -= result->size();
    return status;
  }
  rocksdb::IOStatus Skip(std::uint64_t bytes) override {
    const std::uint64_t skipped = std::min<std::uint64_t>(bytes, left_);
    left_ -= skipped;
    return FSSequentialFileOwnerWrapper::Skip(skipped);
  }

 private:
  std::size_t left_;
};

LogFiles::~LogFiles() {
  stopping_ = true;
  needs_more();
  if (thread_.joinable()) thread_.join();
}

LogMark LogFiles::mark() const noexcept {
  const std::lock_guard lock(mutex_);
  LogMark mark;
  if (newest_) {
    mark.number = newest_->number;
    mark.synced = newest_->synced.load(std::memory_order_acquire);
  }
  if (before_) {
    mark.number_before = before_->number;
    mark.synced_before = before_->synced.load(std::memory_order_acquire);
    mark.size_before = before_->size.load(std::memory_order_acquire);
  }
  return mark;
}

LogMark LogFiles::mark_group() noexcept {
  {
    const std::lock_guard lock(mutex_);
    if (newest_) newest_->marks.fetch_add(1, std::memory_order_relaxed);
  }
  return mark();
}

rocksdb::IOStatus LogFiles::NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                            std::unique_ptr<rocksdb::FSWritableFile>* file, rocksdb::IODebugContext* debug) {
  const std::optional<std::uint64_t> number = log_number(name);
  if (!number) return FileSystemWrapper::NewWritableFile(name, options, file, debug);
  std::unique_ptr<rocksdb::FSWritableFile> plain;
  rocksdb::IOStatus status = FileSystemWrapper::NewWritableFile(name, options, &plain, debug);
  if (!status.ok()) return status;
  const auto log = std::make_shared<Log>(name, *number);
  {
    const std::lock_guard lock(mutex_);
    open_[name] = log;
    before_ = std::exchange(newest_, log);
    if (!first_own_) first_own_ = *number;
    try {
      if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
    } catch (const std::system_error&) {  // there may be no more threads: then nothing is laid out
    }
  }
  *file = std::make_unique<WritableFile>(std::move(plain), *this, log);
  return status;
}

rocksdb::IOStatus LogFiles::NewSequentialFile(const std::string& name, const rocksdb::FileOptions& options,
                                              std::unique_ptr<rocksdb::FSSequentialFile>* file,
                                              rocksdb::IODebugContext* debug) {
  const std::optional<std::uint64_t> number = log_number(name);
  if (!number) return FileSystemWrapper::NewSequentialFile(name, options, file, debug);
  std::uint64_t bytes = 0;
  rocksdb::IOStatus status;
  if (const std::shared_ptr<Log> log = open_log(name)) {
    bytes = log->size.load(std::memory_order_acquire);
  } else {
    status = judge(name, *number, options, &bytes, debug);
  }
  if (!status.ok()) return status;
  std::unique_ptr<rocksdb::FSSequentialFile> whole;
  status = FileSystemWrapper::NewSequentialFile(name, options, &whole, debug);
  if (status.ok()) *file = std::make_unique<SequentialFile>(std::move(whole), bytes);
  return status;
}

// How much of the file is to be read. The log ends before what cannot have been synced, and with it what came later.
rocksdb::IOStatus LogFiles::judge(const std::string& name, std::uint64_t number, const rocksdb::FileOptions& options,
                                  std::uint64_t* bytes, rocksdb::IODebugContext* debug) {
  {
    const std::lock_guard lock(mutex_);
    if (first_own_ && number >= *first_own_) return FileSystemWrapper::GetFileSize(name, options.io_options, bytes, debug);
  }
  LogEnd end;
  rocksdb::IOStatus status = find_end(name, number, options, &end, debug);
  if (!status.ok()) return status;
  const auto tell = [&](const std::string& what, bool doubtful) {
    if (told_) told_({"a crash kept the end of the log from the disk: " + name + what, doubtful});
  };
  *bytes = end.bytes;
  {
    const std::lock_guard lock(mutex_);
    if (cut_ && *cut_ < number) {
      *bytes = 0;
      if (end.bad_at.value_or(end.bytes) > 0) tell(" is left out, since one before it ends early", false);
      return status;
    }
  }
  if (!end.bad_at) return status;
  LogMark later;
  status = marks_of_later_logs(name, number, options, &later, debug);
  if (!status.ok()) return status;
  if (std::max(end.mark.synced, later.synced_before) > *end.bad_at + log_header_bytes) {
    return rocksdb::IOStatus::Corruption("the log " + name + " is damaged at byte " + std::to_string(*end.bad_at) +
                                         ", and had been synced beyond that");
  }
  if (end.torn && !end.marked) return status;  // nobody laid it out ahead: RocksDB judges it
  *bytes = *end.bad_at;
  if (!end.torn && later.size_before <= *end.bad_at) return status;
  try {
    tell(" ends at byte " + std::to_string(*end.bad_at), end.torn && !end.cut_short);
  } catch (const std::exception& fault) {
    return rocksdb::IOStatus::IOError(fault.what());
  }
  const std::lock_guard lock(mutex_);
  cut_ = number;
  return status;
}

rocksdb::IOStatus LogFiles::GetFileSize(const std::string& name, const rocksdb::IOOptions& options, std::uint64_t* bytes,
                                        rocksdb::IODebugContext* debug) {
  if (const std::shared_ptr<Log> log = open_log(name)) {
    *bytes = log->size.load(std::memory_order_acquire);
    return rocksdb::IOStatus::OK();
  }
  return FileSystemWrapper::GetFileSize(name, options, bytes, debug);
}

std::shared_ptr<LogFiles::Log> LogFiles::open_log(const std::string& name) {
  const std::lock_guard lock(mutex_);
  const auto found = open_.find(name);
  return found == open_.end() ? nullptr : found->second;
}

void LogFiles::closed(const Log& log) {
  const std::lock_guard lock(mutex_);
  const auto found = open_.find(log.name);
  if (found != open_.end() && found->second.get() == &log) open_.erase(found);
}

void LogFiles::needs_more() noexcept {
  asked_.fetch_add(1, std::memory_order_release);
  asked_.notify_one();
}

void LogFiles::run() {
  pthread_setname_np(pthread_self(), "log-ahead");
  engine::rank_as_pausing();
  std::uint32_t seen = 0;
  while (!stopping_) {
    std::shared_ptr<Log> log;
    {
      const std::lock_guard lock(mutex_);
      log = newest_;
    }
    if (log && log->wants_more()) log->lay_out(stopping_);
    asked_.wait(seen, std::memory_order_acquire);
    seen = asked_.load(std::memory_order_acquire);
  }
}

// A piece is on the disk before the next one: a group that is synced meanwhile waits for all that is on its way.
void LogFiles::Log::lay_out(const std::atomic<bool>& stopping) {
  const int file = ::open(name.c_str(), O_WRONLY | O_CLOEXEC);
  if (file < 0) return full.store(true, std::memory_order_relaxed);
  while (!stopping && laid_out < size + ahead_bytes) {
    const std::optional<std::uint64_t> piece = lay_out_piece(file);
    if (!piece) break;
    constexpr unsigned now = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
    static_cast<void>(::sync_file_range(file, static_cast<off_t>(*piece), static_cast<off_t>(piece_bytes), now));
    engine::give_way_often();
  }
  // The file's new size goes to the disk here, and not with the next group. That fails for whoever writes the log, too.
  static_cast<void>(::fdatasync(file));
  ::close(file);
}

// Where it begins; nullopt: the log is closed, or the disk takes no more.
std::optional<std::uint64_t> LogFiles::Log::lay_out_piece(int file) {
  static constexpr std::array<char, piece_bytes> zeros{};
  const std::lock_guard lock(mutex);
  if (!open) return std::nullopt;
  const std::uint64_t behind_log = (size.load(std::memory_order_acquire) + piece_bytes - 1) / piece_bytes * piece_bytes;
  const std::uint64_t begin = std::max(laid_out.load(std::memory_order_relaxed), behind_log);
  const ssize_t written = ::pwrite(file, zeros.data(), zeros.size(), static_cast<off_t>(begin));
  if (written > 0) laid_out.store(begin + static_cast<std::uint64_t>(written), std::memory_order_release);
  if (written == static_cast<ssize_t>(zeros.size())) return begin;
  full.store(true, std::memory_order_relaxed);
  return std::nullopt;
}

rocksdb::IOStatus LogFiles::find_end(const std::string& name, std::uint64_t number, const rocksdb::FileOptions& options,
                                     LogEnd* end, rocksdb::IODebugContext* debug) {
  std::unique_ptr<rocksdb::FSSequentialFile> file;
  rocksdb::IOStatus status = FileSystemWrapper::NewSequentialFile(name, options, &file, debug);
  if (!status.ok()) return status;
  *end = find_log_end(number, [&](std::span<char> block) {
    std::size_t filled = 0;
    while (status.ok() && filled < block.size()) {
      rocksdb::Slice read;
      status = file->Read(block.size() - filled, options.io_options, &read, block.data() + filled, debug);
      if (read.empty()) break;
      if (read.data() != block.data() + filled) std::copy_n(read.data(), read.size(), block.data() + filled);
      filled += read.size();
    }
    return filled;
  });
  return status;
}

// What the logs after it say of this one.
rocksdb::IOStatus LogFiles::marks_of_later_logs(const std::string& name, std::uint64_t number,
                                                const rocksdb::FileOptions& options, LogMark* mark,
                                                rocksdb::IODebugContext* debug) {
  const std::string directory = name.substr(0, name.rfind('/'));
  const auto path_of = [&directory](const std::string& file) { return directory + "/" + file; };
  std::vector<std::string> names;
  rocksdb::IOStatus status = GetChildren(directory, options.io_options, &names, debug);
  for (const std::string& other : names) {
    const std::optional<std::uint64_t> later = log_number(other);
    if (!status.ok() || !later || *later <= number) continue;
    LogEnd end;
    status = find_end(path_of(other), *later, options, &end, debug);
    if (end.mark.number_before != number) continue;
    mark->synced_before = std::max(mark->synced_before, end.mark.synced_before);
    mark->size_before = std::max(mark->size_before, end.mark.size_before);
  }
  return status;
}

}  // namespace watchword::storage
