// RocksDB alone: takes rows as large as a registration, as fast as it can, and prints rows a second. The reference of
// bench/import_comparison.py.
//
//   watchword-rocksdb-rows DIRECTORY ROWS VALUE_BYTES
#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: %s DIRECTORY ROWS VALUE_BYTES\n", argv[0]);
    return 2;
  }
  const auto rows = std::strtoull(argv[2], nullptr, 10);
  const auto value_bytes = std::strtoull(argv[3], nullptr, 10);
  rocksdb::Options options;
  options.create_if_missing = true;
  rocksdb::DB* opened = nullptr;
  rocksdb::Status status = rocksdb::DB::Open(options, argv[1], &opened);
  const std::unique_ptr<rocksdb::DB> db(opened);
  std::mt19937_64 random;
  std::string value(value_bytes, '\0');
  rocksdb::WriteOptions unlogged;
  unlogged.disableWAL = true;
  constexpr std::uint64_t rows_per_batch = 2048;
  const auto begin = std::chrono::steady_clock::now();
  rocksdb::WriteBatch batch;
  for (std::uint64_t i = 0; status.ok() && i < rows; ++i) {
    for (std::size_t at = 0; at + 8 <= value.size(); at += 8) {
      const std::uint64_t part = random();  // as incompressible as sealed secrets
      value.replace(at, 8, reinterpret_cast<const char*>(&part), 8);
    }
    char key[32];
    std::snprintf(key, sizeof key, "user-%07llu", static_cast<unsigned long long>(i));
    batch.Put(key, value);
    if (batch.Count() < static_cast<int>(rows_per_batch) && i + 1 < rows) continue;
    status = db->Write(unlogged, &batch);
    batch.Clear();
  }
  if (status.ok()) status = db->Flush({});
  if (!status.ok()) {
    std::fprintf(stderr, "%s\n", status.ToString().c_str());
    return 1;
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  std::printf("%.0f\n", static_cast<double>(rows) / took.count());
  return 0;
}
