// The file system, of which each read from a file in sequence gives a small piece. When RocksDB (7.8) checks a backup it
// takes 5 MB at a time, whatever its limiter says, and computes their checksum in one go: milliseconds without giving way.
#pragma once

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "storage/rocksdb/io_pace.h"

namespace watchword::storage {

class SmallReads : public rocksdb::FileSystemWrapper {
 public:
  // Less than the limiter hands out at a time, so that RocksDB takes what came for all that there is now, and works on it;
  // not much less, since what it hands out counts.
  static constexpr std::size_t read_bytes_max = IoPace::piece_bytes - 4096;
  static_assert(read_bytes_max >= 8192, "RocksDB reads lists of files by 8 KiB, and takes less for their end");

  SmallReads() : FileSystemWrapper(rocksdb::FileSystem::Default()) {}

  const char* Name() const override { return "watchword.small-reads"; }
  rocksdb::IOStatus NewSequentialFile(const std::string& name, const rocksdb::FileOptions& options,
                                      std::unique_ptr<rocksdb::FSSequentialFile>* file,
                                      rocksdb::IODebugContext* debug) override {
    std::unique_ptr<rocksdb::FSSequentialFile> whole;
    rocksdb::IOStatus status = FileSystemWrapper::NewSequentialFile(name, options, &whole, debug);
    if (status.ok()) *file = std::make_unique<File>(std::move(whole));
    return status;
  }

 private:
  class File : public rocksdb::FSSequentialFileOwnerWrapper {
   public:
    using FSSequentialFileOwnerWrapper::FSSequentialFileOwnerWrapper;
    rocksdb::IOStatus Read(std::size_t bytes, const rocksdb::IOOptions& options, rocksdb::Slice* result, char* scratch,
                           rocksdb::IODebugContext* debug) override {
      return FSSequentialFileOwnerWrapper::Read(std::min(bytes, read_bytes_max), options, result, scratch, debug);
    }
  };
};

}  // namespace watchword::storage
