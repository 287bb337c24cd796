#include "api/sessions.h"

#include <gtest/gtest.h>

namespace watchword::api {
namespace {

using std::chrono::seconds;

constexpr engine::UnixMillis start{1'800'000'000'000};
engine::UnixMillis after(std::int64_t seconds_later) {
  return {start.value + seconds_later * 1000};
}
Session of(std::string owner, SessionKind kind = SessionKind::portal) {
  return {.kind = kind, .owner = std::move(owner)};
}

TEST(Sessions, AreFoundByTheirIdAndKindOnly) {
  Sessions sessions({.idle = seconds(900), .absolute = seconds(3600), .sessions_max = 100});
  const auto opened = sessions.open(of("ada"), start);
  ASSERT_TRUE(opened);
  EXPECT_EQ(sessions.find(SessionKind::portal, opened->id, start)->owner, "ada");
  EXPECT_FALSE(sessions.find(SessionKind::console, opened->id, start));
  EXPECT_FALSE(sessions.find(SessionKind::portal, opened->session.csrf_token, start));
  EXPECT_FALSE(sessions.find(SessionKind::portal, "", start));
  EXPECT_NE(opened->id, sessions.open(of("ada"), start)->id);
}

TEST(Sessions, EndWhenIdleAndAtTheLatestAfterTheirWholeTime) {
  Sessions sessions({.idle = seconds(900), .absolute = seconds(3600), .sessions_max = 100});
  const std::string idle = sessions.open(of("ada"), start)->id;
  EXPECT_FALSE(sessions.find(SessionKind::portal, idle, after(900)));
  const std::string busy = sessions.open(of("ada"), start)->id;
  for (std::int64_t at = 800; at < 3600; at += 800) EXPECT_TRUE(sessions.find(SessionKind::portal, busy, after(at))) << at;
  EXPECT_FALSE(sessions.find(SessionKind::portal, busy, after(3600)));
  EXPECT_EQ(sessions.size(), 0U);
}

TEST(Sessions, EndEarlierWhereTheyAreToBeShort) {
  Sessions sessions({.idle = seconds(900), .absolute = seconds(3600), .sessions_max = 100});
  Session brief = of("ada", SessionKind::console);
  brief.absolute_s = 1000;
  const auto opened = sessions.open(brief, start);
  EXPECT_TRUE(sessions.find(SessionKind::console, opened->id, after(800)));
  EXPECT_EQ(sessions.find(SessionKind::console, opened->id, after(900))->expires, after(1000));
  EXPECT_FALSE(sessions.find(SessionKind::console, opened->id, after(1000)));
  Session longer = of("eve", SessionKind::console);
  longer.absolute_s = 100'000;
  const std::string id = sessions.open(longer, start)->id;
  for (std::int64_t at = 800; at < 3600; at += 800) EXPECT_TRUE(sessions.find(SessionKind::console, id, after(at)));
  EXPECT_FALSE(sessions.find(SessionKind::console, id, after(3600)));
}

TEST(Sessions, EndWhereTheClockWasSetBack) {
  Sessions sessions({.idle = seconds(900), .absolute = seconds(3600), .sessions_max = 100});
  const std::string id = sessions.open(of("ada"), start)->id;
  EXPECT_FALSE(sessions.find(SessionKind::portal, id, after(-3600)));
}

TEST(Sessions, AreBoundedForOneOwnerAndInAll) {
  Sessions sessions({.idle = seconds(900), .absolute = seconds(3600), .sessions_max = 20});
  const std::string first = sessions.open(of("ada"), start)->id;
  for (std::size_t i = 0; i < Sessions::per_owner_max; ++i) ASSERT_TRUE(sessions.open(of("ada"), after(1)));
  EXPECT_FALSE(sessions.find(SessionKind::portal, first, after(1))) << "the oldest made room";
  EXPECT_EQ(sessions.size(), Sessions::per_owner_max);
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(sessions.open(of("b" + std::to_string(i)), after(1)));
  EXPECT_FALSE(sessions.open(of("one too many"), after(1)));
  EXPECT_TRUE(sessions.open(of("later"), after(2000))) << "those that ended make room";
}

TEST(Sessions, OfARemovedPersonEndAndNobodyElses) {
  Sessions sessions({.idle = seconds(900), .absolute = seconds(3600), .sessions_max = 100});
  const std::string ada = sessions.open(of("ada"), start)->id;
  const std::string eve = sessions.open(of("eve"), start)->id;
  const std::string console = sessions.open(of("ada", SessionKind::console), start)->id;
  sessions.close_user("ada");
  EXPECT_FALSE(sessions.find(SessionKind::portal, ada, start));
  EXPECT_TRUE(sessions.find(SessionKind::portal, eve, start));
  EXPECT_TRUE(sessions.find(SessionKind::console, console, start));
}

}  // namespace
}  // namespace watchword::api
