// The file system, on which tables go to the disk as they are written. A kernel keeps what was written for itself until
// somebody syncs the file, and then the disk has half a megabyte at once; whoever commits meanwhile waits behind it.
// RocksDB's own setting for that (bytes_per_sync) leaves the last megabyte of a file alone.
#pragma once

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "storage/rocksdb/io_pace.h"

namespace watchword::storage {

class EvenWrites : public rocksdb::FileSystemWrapper {
 public:
  EvenWrites() : FileSystemWrapper(rocksdb::FileSystem::Default()) {}

  const char* Name() const override { return "watchword.even-writes"; }
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
};

}  // namespace watchword::storage
