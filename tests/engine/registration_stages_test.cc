#include "engine/registration_stages.h"

#include <gtest/gtest.h>

namespace watchword::engine {
namespace {

UnixMillis at(std::int64_t seconds) {
  return {seconds * 1000};
}

TEST(RegistrationStages, CountsWhatNobodyComesBackFor) {
  RegistrationStages stages;
  stages.begun(DeviceId{1}, 100, at(0));
  stages.begun(DeviceId{2}, 200, at(0));
  stages.begun(DeviceId{3}, 200, at(0));
  stages.confirmed(DeviceId{2});
  EXPECT_EQ(stages.counts(at(99)).pending, 2u);
  EXPECT_EQ(stages.counts(at(99)).expired, 0u);
  EXPECT_EQ(stages.counts(at(100)).expired, 1u);
  const RegistrationStages::Counts end = stages.counts(at(1000));
  EXPECT_EQ(end.begun, 3u);
  EXPECT_EQ(end.confirmed, 1u);
  EXPECT_EQ(end.expired, 2u);
  EXPECT_EQ(end.pending, 0u);
}

TEST(RegistrationStages, CountsEachEndOnce) {
  RegistrationStages stages;
  stages.begun(DeviceId{1}, 100, at(0));
  stages.begun(DeviceId{2}, 100, at(0));
  stages.expired(DeviceId{1});
  stages.expired(DeviceId{1});
  stages.removed(DeviceId{2});
  const RegistrationStages::Counts end = stages.counts(at(1000));
  EXPECT_EQ(end.expired, 1u);
  EXPECT_EQ(end.pending, 0u);
}

}  // namespace
}  // namespace watchword::engine
