#include <gtest/gtest.h>

#include <thread>

#include "tests/engine/engine_fixture.h"

namespace watchword::engine {
namespace {

class Import : public test::EngineTest {
 protected:
  static BulkRow row(const std::string& user, const std::string& device, std::uint8_t seed, std::size_t bytes = 20) {
    return {name(user), device, SecretBytes(std::vector<std::uint8_t>(bytes, seed)), {}};
  }
  static std::string code(std::uint8_t seed, UnixMillis when) { return totp({}, std::vector<std::uint8_t>(20, seed), when); }
  Registrar::ImportAnswer import(std::vector<BulkRow> rows) {
    return engine.registrar.import(std::move(rows), secret_bytes_min, test::tester, start);
  }
  std::size_t devices(const std::string& user) { return store.load(user)->record.devices.size(); }
};

TEST_F(Import, BringsDevicesInWhoseCodesWorkAtOnce) {
  std::vector<BulkRow> rows;
  rows.push_back(row("ada", "phone", 1));
  rows.push_back(row("bo", "phone", 2));
  rows.push_back(row("ada", "tablet", 3));
  const int groups = store.groups;
  const auto answer = import(std::move(rows));
  EXPECT_EQ(store.groups, groups + 1) << "one write";
  EXPECT_EQ(answer.new_users, 2u);
  for (const auto& one : answer.rows) EXPECT_EQ(one, Imported::added);
  EXPECT_EQ(engine.directory.size(), 0u) << "who is not in memory is not brought there";
  test::Client client(engine);
  EXPECT_EQ(client.result("ada", code(3, start), start), Result::accepted);
  EXPECT_EQ(client.result("bo", code(2, start), start), Result::accepted);
}

TEST_F(Import, ReplacesTheBlockOfWhoIsInMemoryAndKeepsWhatTheyHaveUsed) {
  const test::Phone phone = registered("ada");
  test::Client client(engine);
  EXPECT_EQ(client.result("ada", phone.code(start), start), Result::accepted);
  std::vector<BulkRow> rows;
  rows.push_back(row("ada", "tablet", 3));
  EXPECT_EQ(import(std::move(rows)).rows[0], Imported::added);
  EXPECT_EQ(client.result("ada", phone.code(start), start), Result::replayed);
  EXPECT_EQ(client.result("ada", code(3, start), start), Result::accepted);
}

TEST_F(Import, LeavesWhatIsThereAlreadyAsItIs) {
  for (int round = 0; round < 3; ++round) {
    std::vector<BulkRow> rows;
    rows.push_back(row("ada", "phone", 1));
    rows.push_back(row("ada", "phone", 1));
    const std::uint64_t version = round == 0 ? 0 : store.load("ada")->record.version;
    const auto answer = import(std::move(rows));
    EXPECT_EQ(answer.rows[0], round == 0 ? Imported::added : Imported::present);
    EXPECT_EQ(answer.rows[1], Imported::present);
    EXPECT_EQ(devices("ada"), 1u);
    if (round > 0) {
      EXPECT_EQ(store.load("ada")->record.version, version);
    }
  }
}

TEST_F(Import, SaysWhyARowIsRefusedAndTakesTheOthers) {
  std::vector<BulkRow> rows;
  rows.push_back(row("ada", "phone", 1));
  rows.push_back(row("ada", "phone", 2));
  rows.push_back(row("ada", "other", 1));
  rows.push_back(row("ada", "short", 3, 15));
  rows.push_back(row("ada", "long", 3, 257));
  rows.push_back(row("eve", "short", 3, 15));
  for (std::uint8_t i = 0; i < 8; ++i) rows.push_back(row("ada", std::to_string(i), static_cast<std::uint8_t>(10 + i)));
  const auto answer = import(std::move(rows));
  EXPECT_EQ(answer.rows[0], Imported::added);
  EXPECT_EQ(answer.rows[1].error(), Refusal::name_taken);
  EXPECT_EQ(answer.rows[2].error(), Refusal::secret_registered);
  EXPECT_EQ(answer.rows[3].error(), Refusal::secret_too_short);
  EXPECT_EQ(answer.rows[4].error(), Refusal::secret_too_long);
  EXPECT_EQ(answer.rows[13].error(), Refusal::device_limit);
  EXPECT_EQ(devices("ada"), 8u);
  EXPECT_FALSE(store.load("eve")) << "a user without a device is none";
  EXPECT_EQ(answer.new_users, 1u);
}

TEST_F(Import, AddsNothingWhereTheStoreTakesNoWrites) {
  const test::Phone phone = registered("ada");
  store.next_outcome = Outcome::failed;
  std::vector<BulkRow> rows;
  rows.push_back(row("ada", "tablet", 3));
  rows.push_back(row("bo", "phone", 4));
  const auto answer = import(std::move(rows));
  EXPECT_EQ(answer.rows[0].error(), Refusal::store_unavailable);
  EXPECT_EQ(answer.rows[1].error(), Refusal::store_unavailable);
  EXPECT_EQ(answer.new_users, 0u);
  store.next_outcome = Outcome::durable;
  EXPECT_EQ(devices("ada"), 1u);
}

TEST_F(Import, BringsNoUsedCodeOfARemovedSecretBack) {
  const test::Phone phone = registered("ada");
  test::Client client(engine);
  EXPECT_EQ(client.result("ada", phone.code(start), start), Result::accepted);
  ASSERT_TRUE(engine.registrar.remove(name("ada"), phone.id, test::tester, start));
  std::vector<BulkRow> rows;
  rows.push_back({name("ada"), "again", SecretBytes(phone.secret), phone.parameters});
  EXPECT_EQ(import(std::move(rows)).rows[0], Imported::added);
  EXPECT_EQ(client.result("ada", phone.code(start), start), Result::replayed);
}

TEST_F(Import, SeveralAtOnceWaitForEachOtherButNotInACircle) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([this, i] {
      const RcuThread registered;
      for (int round = 0; round < 20; ++round) {
        std::vector<BulkRow> rows;
        for (int k = 0; k < 50; ++k) {
          const int user = i % 2 == 0 ? k : 49 - k;
          rows.push_back(
              row("user " + std::to_string(user), "phone " + std::to_string(i), static_cast<std::uint8_t>(i + 1)));
        }
        import(std::move(rows));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (int k = 0; k < 50; ++k) EXPECT_EQ(devices("user " + std::to_string(k)), 4u);
}

}  // namespace
}  // namespace watchword::engine
