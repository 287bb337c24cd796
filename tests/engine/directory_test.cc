#include "engine/directory.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "engine/words.h"

namespace watchword::engine {
namespace {

LoadedUser person(const std::string& name, std::uint64_t number, unsigned devices = 1) {
  LoadedUser user;
  user.record.user = name;
  user.record.number = {number};
  for (unsigned i = 0; i < devices; ++i) {
    DeviceRecord device;
    device.id = {number * 16 + i + 1};
    device.slot = i + 1;
    device.name = "phone " + std::to_string(i);
    device.status = DeviceStatus::active;
    device.secret = SecretBytes(std::vector<std::uint8_t>(20, static_cast<std::uint8_t>(i + 1)));
    user.record.devices.push_back(std::move(device));
    user.replay.emplace_back();
  }
  return user;
}

TEST(Directory, FindsEveryoneWhoWasPutAndNobodyElse) {
  const RcuThread rcu;
  Directory directory;
  constexpr std::uint64_t people = 20'000;
  for (std::uint64_t i = 0; i < people; ++i) directory.put(person("user" + std::to_string(i), i + 1));
  EXPECT_EQ(directory.size(), people);
  const ReadScope scope;
  for (std::uint64_t i = 0; i < people; ++i) {
    const std::string name = "user" + std::to_string(i);
    ResidentUser* const user = directory.find(name, hash_user(name));
    ASSERT_NE(user, nullptr);
    ASSERT_EQ(user->name(), name);
    ASSERT_EQ(user->number, i + 1);
    ASSERT_EQ(user->device_name(user->devices()[0]), "phone 0");
  }
  EXPECT_EQ(directory.find("user", hash_user("user")), nullptr);
  EXPECT_EQ(directory.find("", hash_user("")), nullptr);
}

TEST(Directory, CarriesWordsOverWhenAPersonIsReplaced) {
  const RcuThread rcu;
  Directory directory;
  directory.put(person("ada", 1, 2));
  {
    const ReadScope scope;
    ResidentUser& user = *directory.find("ada", hash_user("ada"));
    ASSERT_TRUE(user.devices()[1].replay.exchange({}, {ReplayWord::make(77, 0).bits, 5}));
    std::uint64_t expected = 0;
    ASSERT_TRUE(user.throttle.exchange_word(expected, ThrottleWord::make(3, 0, 3).bits));
  }
  LoadedUser later = person("ada", 1, 3);
  later.record.devices.erase(later.record.devices.begin());
  later.replay.pop_back();
  directory.put(later);
  const ReadScope scope;
  ResidentUser& user = *directory.find("ada", hash_user("ada"));
  EXPECT_EQ(user.device_count, 2);
  EXPECT_EQ(ReplayWord{user.devices()[0].replay.word()}.last_step(), 77);
  EXPECT_EQ(user.devices()[0].replay.load().receipt, 5u);
  EXPECT_EQ(ThrottleWord{user.throttle.word()}.failures(), 3u);
  EXPECT_FALSE(ThrottleWord{user.throttle.word()}.frozen());
}

TEST(Directory, AChargeThatWasUndoneDoesNotComeBackWithACopyOfIt) {
  const RcuThread rcu;
  Directory directory;
  LoadedUser copy = person("ada", 1);
  copy.throttle = {ThrottleWord::make(0, 0, 3).bits, 0};
  directory.put(copy);
  copy.throttle = {charge(ThrottleWord{copy.throttle.word}, UnixMillis{1}, Lockout{})->bits, 0};
  directory.put(copy);
  const ReadScope scope;
  EXPECT_EQ(directory.find("ada", hash_user("ada"))->throttle.word(), ThrottleWord::make(0, 0, 3).bits);
}

TEST(Directory, ForgetsWhoWasErasedAndTakesThemAgain) {
  const RcuThread rcu;
  Directory directory;
  for (int round = 0; round < 300; ++round) {
    directory.put(person("ada", 1));
    EXPECT_TRUE(directory.resident("ada"));
    directory.take("ada");
    EXPECT_FALSE(directory.resident("ada"));
  }
  EXPECT_EQ(directory.size(), 0u);
  directory.take("ada");
}

TEST(Directory, ReadersSeeWholePeopleWhileWritersReplaceThem) {
  Directory directory;
  constexpr std::uint64_t people = 64;
  std::atomic<bool> done = false;
  const auto name = [](std::uint64_t i) { return "user" + std::to_string(i); };
  std::vector<std::thread> readers;
  for (int i = 0; i < 2; ++i) {
    readers.emplace_back([&] {
      const RcuThread rcu;
      while (!done) {
        for (std::uint64_t k = 0; k < people; ++k) {
          const ReadScope scope;
          const std::string wanted = name(k);
          ResidentUser* const user = directory.find(wanted, hash_user(wanted));
          if (user == nullptr) continue;
          ASSERT_EQ(user->name(), wanted);
          ASSERT_EQ(user->number, k + 1);
          for (std::size_t d = 0; d < user->device_count; ++d) {
            ASSERT_EQ(user->device_name(user->devices()[d]), "phone " + std::to_string(d));
          }
        }
      }
    });
  }
  {
    const RcuThread rcu;
    for (unsigned round = 0; round < 20; ++round) {
      for (std::uint64_t k = 0; k < people; ++k) directory.put(person(name(k), k + 1, 1 + (round + k) % 8));
      for (std::uint64_t k = 0; k < people; k += 7) directory.take(name(k));
    }
  }
  done = true;
  for (auto& reader : readers) reader.join();
}

// Takes the user's throttle word one failure further, wherever the user is; false: nowhere.
bool charge_once(const Directory& directory, const std::string& name) {
  for (;;) {
    const ReadScope scope;
    ResidentUser* const user = directory.find(name, hash_user(name));
    if (user == nullptr) return false;
    std::uint64_t word = user->throttle.word();
    const ThrottleWord held{word};
    if (held.frozen()) continue;
    if (user->throttle.exchange_word(word, ThrottleWord::make(held.failures() + 1, 0, held.next_version()).bits))
      return true;
  }
}

// As more come, those who are there move; what is charged to them meanwhile counts, once.
TEST(Directory, LosesNoWordOfUsersWhoMove) {
  Directory directory;
  constexpr std::uint64_t watched = 20'000, people = 400'000;
  const auto name = [](std::uint64_t i) { return "person." + std::to_string(i) + "@example.org"; };
  std::vector<const ResidentUser*> first(watched);
  {
    const RcuThread rcu;
    for (std::uint64_t i = 0; i < watched; ++i) directory.put(person(name(i), i + 1));
    const ReadScope scope;
    for (std::uint64_t i = 0; i < watched; ++i) first[i] = directory.find(name(i), hash_user(name(i)));
  }
  std::atomic<bool> done = false;
  std::vector<std::vector<unsigned>> counts(2, std::vector<unsigned>(watched));
  std::vector<std::thread> verifiers;
  for (auto& count : counts) {
    verifiers.emplace_back([&, &mine = count] {
      const RcuThread rcu;
      for (std::uint64_t i = 0; !done; i = (i + 7919) % watched) {
        // No more than the word counts.
        if (mine[i] == 60) continue;
        ASSERT_TRUE(charge_once(directory, name(i)));
        ++mine[i];
      }
    });
  }
  const RcuThread rcu;
  for (std::uint64_t i = watched; i < people; ++i) directory.put(person(name(i), i + 1));
  done = true;
  for (auto& verifier : verifiers) verifier.join();
  EXPECT_EQ(directory.size(), people);
  std::uint64_t moved = 0;
  const ReadScope scope;
  for (std::uint64_t i = 0; i < people; ++i) {
    ResidentUser* const user = directory.find(name(i), hash_user(name(i)));
    ASSERT_NE(user, nullptr) << i;
    ASSERT_EQ(user->number, i + 1);
    ASSERT_EQ(user->device_name(user->devices()[0]), "phone 0");
    if (i >= watched) continue;
    moved += user != first[i];
    ASSERT_EQ(ThrottleWord{user->throttle.word()}.failures(), counts[0][i] + counts[1][i]) << i;
  }
  EXPECT_GT(moved, watched / 2);
}

TEST(Directory, WhoGoesWhileOthersMoveTakesAllChargesAlong) {
  Directory directory;
  constexpr std::uint64_t watched = 4'000, people = 300'000;
  const auto name = [](std::uint64_t i) { return "person." + std::to_string(i) + "@example.org"; };
  std::atomic<bool> done = false;
  std::uint64_t taken = 0;
  {
    const RcuThread rcu;
    for (std::uint64_t i = 0; i < watched; ++i) directory.put(person(name(i), i + 1));
  }
  std::thread remover([&] {
    const RcuThread rcu;
    for (std::uint64_t i = 0; !done; i = (i + 1) % watched) {
      const auto charges = static_cast<unsigned>(1 + i % 3);
      for (unsigned k = 0; k < charges; ++k) ASSERT_TRUE(charge_once(directory, name(i)));
      const auto words = directory.take(name(i));
      ASSERT_TRUE(words);
      ASSERT_EQ(words->number.value, i + 1);
      ASSERT_EQ(ThrottleWord{words->throttle.word}.failures(), charges);
      ++taken;
      directory.put(person(name(i), i + 1));
    }
  });
  {
    const RcuThread rcu;
    for (std::uint64_t i = watched; i < people; ++i) directory.put(person(name(i), i + 1));
  }
  done = true;
  remover.join();
  EXPECT_EQ(directory.size(), people);
  EXPECT_GT(taken, 100u);
}

// A charge on a block that its user has moved from since is taken back where the user is: they do not go before.
TEST(Directory, WhoMovedGoesOnlyWhenNobodyIsWhereTheyWere) {
  Directory directory;
  // One shard, just before its second piece of places: that comes at 3,071 people, and the table has grown at 2,868.
  constexpr std::size_t watched = 2'960, people = 3'200;
  std::vector<std::string> names;
  for (std::uint64_t i = 0; names.size() < people; ++i) {
    std::string candidate = "person." + std::to_string(i) + "@example.org";
    if (Directory::shard_of(hash_user(candidate)) == 0) names.push_back(std::move(candidate));
  }
  const auto name = [&](std::size_t i) -> const std::string& { return names[i]; };
  std::vector<const ResidentUser*> first(watched);
  const RcuThread rcu;
  for (std::size_t i = 0; i < watched; ++i) directory.put(person(name(i), i + 1));
  std::atomic<bool> done = false;
  std::thread newcomers;
  std::thread remover;
  std::optional<LastWords> words;
  std::atomic<bool> gone = false;
  {
    const ReadScope scope;
    for (std::size_t i = 0; i < watched; ++i) first[i] = directory.find(name(i), hash_user(name(i)));
    newcomers = std::thread([&] {
      const RcuThread registered;
      for (std::size_t i = watched; i < people && !done; ++i) directory.put(person(name(i), i + 1));
    });
    // The first who moves makes whoever puts wait for this reader.
    std::size_t mover = watched;
    const auto patience = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (mover == watched && std::chrono::steady_clock::now() < patience) {
      for (mover = 0; mover < watched && directory.find(name(mover), hash_user(name(mover))) == first[mover];) ++mover;
    }
    EXPECT_LT(mover, watched) << "nobody moved";
    remover = std::thread([&, mover] {
      const RcuThread registered;
      if (mover < watched) words = directory.take(name(mover));
      gone = true;
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    EXPECT_FALSE(gone);
    EXPECT_TRUE(mover < watched && charge_once(directory, name(mover)));
  }
  done = true;
  remover.join();
  newcomers.join();
  ASSERT_TRUE(words);
  EXPECT_EQ(ThrottleWord{words->throttle.word}.failures(), 1u);
}

TEST(Directory, TakesLessThanTwoHundredBytesAPerson) {
  const RcuThread rcu;
  Directory directory;
  constexpr std::uint64_t people = 1'000'000;
  for (std::uint64_t i = 0; i < people; ++i) {
    directory.put(person("person." + std::to_string(i) + "@example.org", i + 1));
  }
  EXPECT_LT(directory.bytes() / people, 200u) << directory.bytes() / people;
  // Nor on the way there, once the pieces that memory comes in are small beside all of it.
  Directory other;
  for (std::uint64_t i = 0; i < people; ++i) {
    other.put(person("person." + std::to_string(i) + "@example.org", i + 1));
    if (i < people / 2 || i % 1000 != 0) continue;
    ASSERT_LT(other.bytes() / i, 210u) << i;
  }
}

}  // namespace
}  // namespace watchword::engine
