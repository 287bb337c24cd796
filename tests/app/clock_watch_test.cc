// The watched clock, its times handed in.
#include "app/clock_watch.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "storage/clock_file.h"

namespace watchword::app {
namespace {

using std::chrono::hours, std::chrono::milliseconds, std::chrono::minutes, std::chrono::seconds;

class Watched : public ::testing::Test {
 protected:
  Watched() {
    std::string name = (std::filesystem::temp_directory_path() / "watchword-clock-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary directory");
    dir = name;
  }
  ~Watched() override { std::filesystem::remove_all(dir); }

  // The time passes on both clocks, and the wall clock is set besides.
  ClockWatch::Seen after(ClockWatch& watch, milliseconds passed, milliseconds set_by = milliseconds(0)) {
    unset += passed;
    wall.value += (passed + set_by).count();
    return watch.look(wall, unset);
  }

  std::filesystem::path dir;
  engine::UnixMillis wall{1'800'000'000'000};
  milliseconds unset{5000};
};

TEST_F(Watched, AClockThatGoesAsItShouldIsNoNews) {
  ClockWatch watch(dir, wall, unset);
  for (int i = 0; i < 1000; ++i) {
    const auto seen = after(watch, milliseconds(500), milliseconds(i % 2 == 0 ? 3 : -3));
    EXPECT_EQ(seen.jump.count(), 0);
    EXPECT_EQ(seen.behind.count(), 0);
  }
  EXPECT_EQ(watch.jumps_forward() + watch.jumps_back(), 0u);
}

TEST_F(Watched, AMachineThatSleptHasNotJumped) {
  ClockWatch watch(dir, wall, unset);
  EXPECT_EQ(after(watch, hours(8)).jump.count(), 0);
}

TEST_F(Watched, AJumpIsToldOnceWithItsSize) {
  ClockWatch watch(dir, wall, unset);
  EXPECT_EQ(after(watch, milliseconds(500), hours(1)).jump, hours(1));
  EXPECT_EQ(after(watch, milliseconds(500)).jump.count(), 0);
  EXPECT_EQ(after(watch, milliseconds(500), -seconds(2)).jump, -seconds(2));
  EXPECT_EQ(watch.jumps_forward(), 1u);
  EXPECT_EQ(watch.jumps_back(), 1u);
}

TEST_F(Watched, AClockThatWentBackIsBehindUntilItHasCaughtUp) {
  ClockWatch watch(dir, wall, unset);
  EXPECT_EQ(after(watch, milliseconds(500), -minutes(10)).behind, minutes(10) - milliseconds(500));
  EXPECT_GT(after(watch, minutes(8)).behind.count(), 0);
  EXPECT_EQ(after(watch, minutes(2)).behind.count(), 0);
}

TEST_F(Watched, ASmallStepBackIsWhatTimeServicesDo) {
  ClockWatch watch(dir, wall, unset);
  const auto seen = after(watch, milliseconds(500), -seconds(30));
  EXPECT_EQ(seen.jump, -seconds(30));
  EXPECT_EQ(seen.behind.count(), 0);
}

TEST_F(Watched, TheLatestTimeOutlivesTheProcess) {
  {
    ClockWatch watch(dir, wall, unset);
    after(watch, hours(1));
  }
  wall.value -= milliseconds(hours(2)).count();
  ClockWatch watch(dir, wall, unset);
  EXPECT_GT(after(watch, milliseconds(500)).behind, minutes(119));
  EXPECT_EQ(watch.jumps_back(), 0u);
}

TEST_F(Watched, WhoRemovesTheFileSaysThatThePresentTimeIsRight) {
  ClockWatch watch(dir, wall, unset);
  ASSERT_GT(after(watch, milliseconds(500), -hours(1)).behind.count(), 0);
  std::filesystem::remove(storage::clock_file(dir));
  const auto seen = after(watch, milliseconds(500));
  EXPECT_TRUE(seen.pardoned);
  EXPECT_EQ(seen.behind.count(), 0);
  EXPECT_EQ(storage::read_clock(dir)->value, wall.value);
  EXPECT_EQ(after(watch, milliseconds(500)).behind.count(), 0);
}

TEST_F(Watched, AFileThatSaysNoTimeIsNone) {
  for (const char* const text : {"", "soon\n", "-5\n", "123"}) {
    std::FILE* const file = std::fopen(storage::clock_file(dir).c_str(), "w");
    std::fputs(text, file);
    std::fclose(file);
    EXPECT_FALSE(storage::read_clock(dir)) << text;
  }
}

}  // namespace
}  // namespace watchword::app
