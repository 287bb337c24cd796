// The file system as tables need it. They go to the disk as they are written: a kernel keeps what was written for itself
// until somebody syncs the file, and then the disk has half a megabyte at once; whoever commits meanwhile waits behind it.
// RocksDB's own setting for that (bytes_per_sync) leaves the last megabyte of a file alone.
//
// And one that is being linked into the database is not deleted before its first name is gone: RocksDB (7.8) would do so
// where it cannot tell whether its manifest, which may name the table, reached the disk. One that the manifest does not name
// is removed by the next start.
#pragma once

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "storage/rocksdb/io_pace.h"

namespace watchword::storage {

class TableFiles : public rocksdb::FileSystemWrapper {
 public:
  TableFiles() : FileSystemWrapper(rocksdb::FileSystem::Default()) {}

  const char* Name() const override { return "watchword.table-files"; }
  rocksdb::IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* file,
                                    rocksdb::IODebugContext* debug) override {
    std::unique_ptr<rocksdb::FSWritableFile> plain;
    rocksdb::IOStatus status = FileSystemWrapper::NewWritableFile(name, options, &plain, debug);
    if (!status.ok()) return status;
    if (name.ends_with(".sst")) {
      *file = std::make_unique<File>(std::move(plain));
    } else {
      *file = std::move(plain);  // logs are synced by whoever needs them
    }
    return status;
  }

  rocksdb::IOStatus LinkFile(const std::string& from, const std::string& to, const rocksdb::IOOptions& options,
                             rocksdb::IODebugContext* debug) override {
    rocksdb::IOStatus status = FileSystemWrapper::LinkFile(from, to, options, debug);
    // Some file systems have no links, and say so in ways of their own. RocksDB then copies.
    if (!status.ok()) return rocksdb::IOStatus::NotSupported(status.ToString());
    const std::lock_guard lock(mutex_);
    linking_[from] = to;
    return status;
  }
  rocksdb::IOStatus DeleteFile(const std::string& name, const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override {
    {
      const std::lock_guard lock(mutex_);
      for (const auto& [from, to] : linking_) {
        if (to == name) return rocksdb::IOStatus::OK();
      }
    }
    rocksdb::IOStatus status = FileSystemWrapper::DeleteFile(name, options, debug);
    if (status.ok()) {
      const std::lock_guard lock(mutex_);
      linking_.erase(name);
    }
    return status;
  }

 private:
  class File : public rocksdb::FSWritableFileOwnerWrapper {
   public:
    using FSWritableFileOwnerWrapper::FSWritableFileOwnerWrapper;
    rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                             rocksdb::IODebugContext* debug) override {
      rocksdb::IOStatus status = FSWritableFileOwnerWrapper::Append(data, options, debug);
      return status.ok() ? written(data.size(), options, debug) : status;
    }
    rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                             const rocksdb::DataVerificationInfo& verification, rocksdb::IODebugContext* debug) override {
      rocksdb::IOStatus status = FSWritableFileOwnerWrapper::Append(data, options, verification, debug);
      return status.ok() ? written(data.size(), options, debug) : status;
    }

   private:
    // Begins to write what is there, in whole pages; does not wait for it.
    rocksdb::IOStatus written(std::size_t bytes, const rocksdb::IOOptions& options, rocksdb::IODebugContext* debug) {
      constexpr std::uint64_t page_bytes = 4096;
      size_ += bytes;
      const std::uint64_t end = size_ / page_bytes * page_bytes;
      if (end < begun_ + static_cast<std::uint64_t>(IoPace::piece_bytes)) return rocksdb::IOStatus::OK();
      const std::uint64_t begin = std::exchange(begun_, end);
      return RangeSync(begin, end - begin, options, debug);
    }

    std::uint64_t size_ = 0;
    std::uint64_t begun_ = 0;  // what is before it was told to go
  };

  std::mutex mutex_;
  std::map<std::string, std::string> linking_;  // first name of a file, and the other one; under mutex_
};

}  // namespace watchword::storage
