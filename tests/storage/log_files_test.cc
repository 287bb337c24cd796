// Logs that are laid out ahead: what a crash or a power failure leaves of them, and what damage looks like.
#include "storage/rocksdb/log_files.h"

#include <gmock/gmock.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <thread>
#include <vector>

#include "storage/rocksdb/log_end.h"
#include "tests/storage/store_fixture.h"

namespace watchword::storage::test {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class LogFilesTest : public StoreTest {
 protected:
  static constexpr std::size_t people = 200;
  static constexpr std::uint64_t page_bytes = 4096;

  void SetUp() override {
    options.unfolded_cells_max = 1 << 30;
    options.fold_interval_ms = 3'600'000;
    open();
    for (std::size_t i = 0; i < people; ++i) {
      users_.push_back(person("user-" + std::to_string(i)));
      put(users_.back());
    }
  }

  // A group commit with everybody's step.
  void advance() {
    ++step_;
    std::vector<CellWrite> cells;
    for (const UserRecord& user : users_) cells.push_back({{user.number, 1}, {ReplayWord::make(step_, 0).bits, 0}});
    std::vector<Outcome> outcomes(cells.size(), Outcome::failed);
    store->advance(cells, {}, outcomes, {});
    ASSERT_EQ(outcomes.back(), Outcome::durable);
  }
  // Until the log is laid out ahead, and nobody works on it.
  void advance_until_laid_out() {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (fs::file_size(log()) < (1 << 20) && std::chrono::steady_clock::now() < end) advance();
    ASSERT_GE(fs::file_size(log()), 1U << 20);
    for (std::uint64_t before = 0; fs::file_size(log()) != before;) {
      before = fs::file_size(log());
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
  }

  static fs::path newest_log(const fs::path& data) {
    fs::path newest;
    for (const auto& entry : fs::directory_iterator(data / "db")) {
      if (entry.path().extension() == ".log" && entry.path() > newest) newest = entry.path();
    }
    return newest;
  }
  fs::path log() const { return newest_log(options.data_dir); }
  // Up to the last byte that is not zero.
  static std::uint64_t used(const fs::path& path) { return read_all(path).find_last_not_of('\0') + 1; }

  // The disk as a crash would leave it now.
  fs::path image() const { return copy_of(options.data_dir); }
  fs::path copy_of(const fs::path& data) const {
    fs::path copy = parent / ("image-" + std::to_string(++images_));
    fs::copy(data, copy, fs::copy_options::recursive);
    return copy;
  }
  static void change(const fs::path& path, std::uint64_t at, std::string_view bytes) {
    std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(static_cast<std::streamoff>(at));
    file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    ASSERT_TRUE(file.good());
  }
  static void flip(const fs::path& path, std::uint64_t at) {
    const auto changed = static_cast<char>(read_all(path)[at] ^ 0x10);
    change(path, at, {&changed, 1});
  }

  // The step that all have in there, or why it does not open.
  std::string opened(const fs::path& data) {
    store.reset();
    RocksStoreOptions there = options;
    there.data_dir = data;
    try {
      store = open_rocks_store(there);
    } catch (const OpenError& fault) {
      return fault.what();
    }
    const std::int64_t first = step_of(users_.front().user);
    for (const UserRecord& user : users_) {
      if (step_of(user.user) != first) return "they differ";
    }
    return std::to_string(first);
  }
  std::string step(std::int64_t back = 0) const { return std::to_string(step_ - back); }

  std::vector<UserRecord> users_;
  std::int64_t step_ = 0;
  mutable int images_ = 0;
};

TEST_F(LogFilesTest, AreLaidOutAheadAndCutWhenTheyAreClosed) {
  advance_until_laid_out();
  const std::uint64_t size = used(log());
  EXPECT_GE(fs::file_size(log()), size + LogFiles::ahead_bytes_min);
  EXPECT_LE(fs::file_size(log()), size + LogFiles::ahead_bytes + (256 << 10));
  for (int i = 0; i < 500; ++i) advance();  // into what was laid out, and beyond its end
  const fs::path path = parent / "kept.log";
  fs::create_hard_link(log(), path);  // closing removes it when it is folded
  store.reset();
  EXPECT_LT(fs::file_size(path) - used(path), 64U) << "zeros are left";
  open();
  EXPECT_EQ(step_of(users_.front().user), step_);
}

TEST_F(LogFilesTest, AShortOneIsNot) {
  advance();
  advance();
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_LT(fs::file_size(log()), LogFiles::begin_bytes + (64 << 10));
}

TEST_F(LogFilesTest, AProcessThatIsGoneLeavesEverything) {
  advance_until_laid_out();
  std::vector<std::pair<fs::path, std::string>> images;
  for (int i = 0; i < 20; ++i) {
    advance();
    images.emplace_back(image(), step());
  }
  for (const auto& [data, last] : images) {
    EXPECT_GT(fs::file_size(newest_log(data)), used(newest_log(data)) + LogFiles::ahead_bytes_min / 2);
    EXPECT_EQ(opened(data), last);
  }
}

TEST_F(LogFilesTest, APowerFailureMayLoseAnyPageOfTheLastGroup) {
  advance_until_laid_out();
  const std::uint64_t before = used(log());
  advance();
  const std::uint64_t after = used(log());
  ASSERT_GT(after, before + page_bytes);
  const fs::path whole = image();
  for (std::uint64_t page = before / page_bytes; page <= (after - 1) / page_bytes; ++page) {
    const fs::path data = copy_of(whole);
    const std::uint64_t from = std::max(before, page * page_bytes);
    change(newest_log(data), from, std::string(std::min(after, (page + 1) * page_bytes) - from, '\0'));
    ASSERT_EQ(opened(data), step(1)) << "without page " << page;
    // Where something follows, it could be damage to what somebody was answered.
    EXPECT_EQ(store->fence().value > 0, page < (after - 1) / page_bytes) << "without page " << page;
    EXPECT_EQ(put_step(users_.front(), 1, step_ + 5), Outcome::durable);
    EXPECT_EQ(opened(data), "they differ") << "the next start";
  }
}

TEST_F(LogFilesTest, AWriteThatDidNotEndNeedsNoFence) {
  advance_until_laid_out();
  const std::uint64_t before = used(log());
  advance();
  const std::uint64_t after = used(log());
  const std::uint64_t page = (before / page_bytes + 1) * page_bytes;
  ASSERT_LT(page, after);
  const fs::path data = image();
  change(newest_log(data), page, std::string(after - page, '\0'));
  EXPECT_EQ(opened(data), step(1));
  EXPECT_EQ(store->fence().value, 0);
}

TEST_F(LogFilesTest, AFileThatEndsWithinARecordNeedsNoFence) {
  for (int i = 0; i < 3; ++i) advance();
  const fs::path whole = image();
  for (const std::uint64_t less : {std::uint64_t{1}, std::uint64_t{100}, std::uint64_t{2000}}) {
    const fs::path data = copy_of(whole);
    const fs::path log = newest_log(data);
    fs::resize_file(log, used(log) - less);
    EXPECT_EQ(opened(data), step(1)) << less;
    EXPECT_EQ(store->fence().value, 0) << less;
  }
}

TEST_F(LogFilesTest, DamageToTheLastGroupRaisesTheFence) {
  advance_until_laid_out();
  const std::uint64_t before = used(log());
  advance();
  const fs::path data = image();
  flip(newest_log(data), before + 200);
  std::string said;
  options.warn = [&](const std::string& text) { said += text; };
  EXPECT_EQ(opened(data), step(1));
  EXPECT_GT(store->fence().value, 0);
  EXPECT_THAT(said, HasSubstr("a crash kept the end of the log from the disk"));
}

TEST_F(LogFilesTest, DamageToWhatWasSyncedStopsTheStart) {
  advance_until_laid_out();
  const std::uint64_t size = used(log());
  advance();
  advance();
  const fs::path whole = image();
  // In pages full of the log, so that none of them is zero as it is.
  for (const std::uint64_t at : {std::uint64_t{100}, size / 2, size - 50}) {
    const fs::path flipped = copy_of(whole);
    flip(newest_log(flipped), at);
    EXPECT_THAT(opened(flipped), HasSubstr("is damaged at byte")) << at;
    const fs::path lost = copy_of(whole);
    change(newest_log(lost), at / page_bytes * page_bytes, std::string(page_bytes, '\0'));
    EXPECT_THAT(opened(lost), HasSubstr("is damaged at byte")) << at;
  }
  EXPECT_EQ(opened(whole), step());
}

// Two logs of a database, the first of which is still needed, with marks of the test's own making.
class TwoLogs : public ::testing::Test {
 protected:
  TwoLogs() {
    std::string name = (fs::temp_directory_path() / "watchword-logs-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary directory");
    parent_ = name;
    rocksdb::Options options;
    options.create_if_missing = true;
    rocksdb::DB* opened = nullptr;
    if (!rocksdb::DB::Open(options, parent_ / "live", &opened).ok()) throw std::runtime_error("no database");
    db_.reset(opened);
    if (!db_->CreateColumnFamily({}, "other", &other_).ok()) throw std::runtime_error("no second family");
    first_ = logs().front();
    for (int i = 0; i < 3; ++i) write(other_, {.number = number(first_), .synced = 0});
    last_record_ = fs::file_size(parent_ / "live" / first_);
    write(other_, {.number = number(first_), .synced = last_record_});
    write(db_->DefaultColumnFamily(), {});
    static_cast<void>(db_->Flush({}, db_->DefaultColumnFamily()));
    first_bytes_ = fs::file_size(parent_ / "live" / first_);
    second_ = logs().back();
  }
  ~TwoLogs() override {
    static_cast<void>(db_->DestroyColumnFamilyHandle(other_));
    db_.reset();
    fs::remove_all(parent_);
  }

  static std::uint64_t number(const std::string& name) { return std::stoull(name); }
  std::vector<std::string> logs() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(parent_ / "live")) {
      if (entry.path().extension() == ".log") names.push_back(entry.path().filename());
    }
    std::sort(names.begin(), names.end());
    return names;
  }
  void write(rocksdb::ColumnFamilyHandle* family, const LogMark& mark) {
    rocksdb::WriteBatch batch;
    const auto text = mark.encode();
    batch.PutLogData({text.data(), text.size()});
    batch.Put(family, "key", std::string(1000, 'x'));
    ASSERT_TRUE(db_->Write({}, &batch).ok());
  }
  // The second log says so much of the first one.
  void say(std::uint64_t synced, std::uint64_t size) {
    write(db_->DefaultColumnFamily(),
          {.number = number(second_), .number_before = number(first_), .synced_before = synced, .size_before = size});
  }
  // The first log without its last two records, or with a bit of the last but one changed, as if its file had not been cut.
  void lose_end() {
    change(
        [&](std::string& text) { std::fill(text.begin() + static_cast<std::ptrdiff_t>(last_record_), text.end(), '\0'); });
  }
  void flip_bit() {
    change([&](std::string& text) { text[last_record_ + 500] ^= 1; });
  }

  // How much of both is read, one after the other; -1: damage.
  std::vector<std::int64_t> read() {
    told_.clear();
    LogFiles files(rocksdb::FileSystem::Default());
    files.tell_of_cuts([&](const LogFiles::Cut& cut) { told_.push_back(cut.text + (cut.doubtful ? " doubtful" : "")); });
    std::vector<std::int64_t> sizes;
    for (const std::string& name : {first_, second_}) {
      std::unique_ptr<rocksdb::FSSequentialFile> file;
      const rocksdb::IOStatus status = files.NewSequentialFile(parent_ / "live" / name, {}, &file, nullptr);
      sizes.push_back(status.IsCorruption() ? -1 : 0);
      std::vector<char> buffer(1 << 20);
      for (rocksdb::Slice got; file; sizes.back() += static_cast<std::int64_t>(got.size())) {
        EXPECT_TRUE(file->Read(buffer.size(), {}, &got, buffer.data(), nullptr).ok());
        if (got.empty()) break;
      }
    }
    return sizes;
  }

  fs::path parent_;
  std::unique_ptr<rocksdb::DB> db_;
  rocksdb::ColumnFamilyHandle* other_ = nullptr;
  std::string first_, second_;
  std::uint64_t last_record_ = 0, first_bytes_ = 0;
  std::vector<std::string> told_;

 private:
  void change(const std::function<void(std::string&)>& how) {
    const fs::path path = parent_ / "live" / first_;
    std::string text = read_all(path);
    how(text);
    text.resize(text.size() + 100'000, '\0');
    std::ofstream(path, std::ios::binary) << text;
  }
};

TEST_F(TwoLogs, AreReadAsTheyAre) {
  say(0, first_bytes_);
  const std::vector<std::int64_t> sizes = read();
  EXPECT_EQ(sizes[0], static_cast<std::int64_t>(first_bytes_));
  EXPECT_GT(sizes[1], 1000);
  EXPECT_TRUE(told_.empty());
}

TEST_F(TwoLogs, NothingComesAfterWhatWasLost) {
  say(last_record_, first_bytes_);
  lose_end();
  EXPECT_EQ(read(), (std::vector<std::int64_t>{static_cast<std::int64_t>(last_record_), 0}));
  EXPECT_THAT(told_, ElementsAre(AllOf(HasSubstr(first_), Not(HasSubstr("doubtful"))), HasSubstr(second_)));
}

TEST_F(TwoLogs, NothingComesAfterWhatIsTorn) {
  say(last_record_, first_bytes_);
  flip_bit();
  EXPECT_EQ(read(), (std::vector<std::int64_t>{static_cast<std::int64_t>(last_record_), 0}));
  EXPECT_THAT(told_, ElementsAre(AllOf(HasSubstr(first_), HasSubstr("doubtful")), HasSubstr(second_)));
}

TEST_F(TwoLogs, TheSecondKnowsWhatOfTheFirstWasSynced) {
  say(first_bytes_, first_bytes_);
  lose_end();
  EXPECT_EQ(read().front(), -1);
  flip_bit();
  EXPECT_EQ(read().front(), -1);
}

class LogEndTest : public ::testing::Test {
 protected:
  LogEnd end_of(const std::string& file, std::uint64_t number = 7) {
    std::size_t at = 0;
    return find_log_end(number, [&](std::span<char> block) {
      const std::size_t bytes = std::min(block.size(), file.size() - at);
      std::copy_n(file.data() + at, bytes, block.data());
      at += bytes;
      return bytes;
    });
  }
};

TEST_F(LogEndTest, AnEmptyFileAndOneOfZerosHaveNone) {
  EXPECT_FALSE(end_of("").bad_at);
  const LogEnd zeros = end_of(std::string(100'000, '\0'));
  EXPECT_EQ(zeros.bad_at, 0U);
  EXPECT_FALSE(zeros.torn);
}

TEST_F(LogEndTest, NoiseIsTornAndUnmarked) {
  const LogEnd end = end_of(std::string(100'000, 'x'));
  EXPECT_EQ(end.bad_at, 0U);
  EXPECT_TRUE(end.torn);
  EXPECT_FALSE(end.marked);
}

}  // namespace
}  // namespace watchword::storage::test
