#include "engine/directory.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

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
        const std::string wanted = name(i);
        for (;;) {
          const ReadScope scope;
          ResidentUser* const user = directory.find(wanted, hash_user(wanted));
          ASSERT_NE(user, nullptr);
          ASSERT_EQ(user->name(), wanted);
          std::uint64_t word = user->throttle.word();
          const ThrottleWord held{word};
          if (held.frozen()) continue;
          if (user->throttle.exchange_word(word, ThrottleWord::make(held.failures() + 1, 0, held.next_version()).bits))
            break;
        }
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

// Somebody goes while others move: their last words are those that the threads who charged them know of.
TEST(Directory, TakesWordsAsTheyAreWhileUsersMove) {
  Directory directory;
  constexpr std::uint64_t watched = 4'000, people = 300'000;
  const auto name = [](std::uint64_t i) { return "person." + std::to_string(i) + "@example.org"; };
  std::atomic<bool> done = false;
  std::atomic<std::uint64_t> taken = 0;
  {
    const RcuThread rcu;
    for (std::uint64_t i = 0; i < watched; ++i) directory.put(person(name(i), i + 1));
  }
  std::thread remover([&] {
    const RcuThread rcu;
    for (std::uint64_t i = 0; !done; i = (i + 1) % watched) {
      const auto words = directory.take(name(i));
      ASSERT_TRUE(words);
      ASSERT_EQ(words->number.value, i + 1);
      ASSERT_FALSE(ThrottleWord{words->throttle.word}.frozen());
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
