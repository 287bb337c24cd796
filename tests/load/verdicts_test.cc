#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "bench/load/compare.h"
#include "bench/load/requests.h"

namespace watchword::load {
namespace {

constexpr std::int64_t noon_ms = 1'800'000'015'000;  // in the middle of a step

// One thread's requests, with answers made up.
class Verdicts : public testing::Test {
 protected:
  explicit Verdicts(const char* mix = "accept,replay,hot,wrong") {
    options_.mix = *Mix::parse(mix);
    options_.fresh = true;
    options_.key = "k";
    target_.host = "localhost";
    phones_ = invented_users(20);
    book_.emplace(phones_, engine::UnixMillis{noon_ms}, 60);
    requests_.emplace(options_, target_, ServerPolicy{}, *book_, phones_, People(options_, phones_.size()), ledger_, "r", 0);
  }

  std::optional<Asked> ask(Kind kind, std::int64_t at_ms = noon_ms) {
    text_.clear();
    return requests_->write(kind, at_ms, text_);
  }
  void answer(const Asked& asked, std::string_view result, std::int64_t at_ms = noon_ms) {
    const std::string body =
        "{\"result\":\"" + std::string(result) + "\",\"user\":" + std::string(book_->quoted_name(asked.user)) + "}";
    requests_->judge(asked, {.status = 200, .body = body}, at_ms, &recorder_);
  }

  Options options_;
  Target target_;
  std::vector<User> phones_;
  std::optional<CodeBook> book_;
  Ledger ledger_{noon_ms / 30'000 - 10, 100};
  Recorder recorder_;
  std::optional<Requests> requests_;
  std::string text_;
};

TEST(CodeBook, KnowsTheCodesOfAWideWindowSoThatNoGuessIsOneOfThem) {
  const std::int64_t clock = noon_ms / 30'000;
  const CodeBook book(invented_users(1), engine::UnixMillis{noon_ms}, 60, 10);
  EXPECT_TRUE(book.has(0, clock - 10));
  EXPECT_TRUE(book.has(0, clock + 2 + 10));  // two steps on, at the end of the run
}

TEST_F(Verdicts, APersonHasTwoCodesAtOnceThenOneAStep) {
  const std::int64_t clock = noon_ms / 30'000;
  std::map<std::uint32_t, std::vector<std::int64_t>> steps;
  while (const auto asked = ask(Kind::accept)) {
    steps[asked->user].push_back(asked->step - clock);
    answer(*asked, "accepted");
  }
  ASSERT_FALSE(steps.empty());
  for (const auto& [user, own] : steps) EXPECT_EQ(own, (std::vector<std::int64_t>{0, 1})) << user;
  const auto later = ask(Kind::accept, noon_ms + 30'000);
  ASSERT_TRUE(later);
  EXPECT_EQ(later->step - clock, 2);
  EXPECT_EQ(ledger_.failures(), 0u);
}

// One whose codes of this step and the next are the same.
class TwinCodes : public Verdicts {
 protected:
  TwinCodes() : Verdicts("accept") {
    const std::vector<std::uint8_t> secret = {0x86, 0x09, 0xb2, 0xd6, 0xf6, 0xb2, 0xe0, 0x76, 0x04, 0x23,
                                              0xc1, 0xa0, 0xc8, 0x6e, 0x34, 0x0d, 0xa8, 0x3c, 0x95, 0x53};
    phones_.resize(1);
    phones_.front().secret = engine::SecretBytes(secret);
    book_.emplace(phones_, engine::UnixMillis{noon_ms}, 60);
    requests_.emplace(options_, target_, ServerPolicy{}, *book_, phones_, People(options_, phones_.size()), ledger_, "r", 0);
  }
};

TEST_F(TwinCodes, UseUpBothSteps) {
  const std::int64_t clock = noon_ms / 30'000;
  ASSERT_EQ(book_->code(0, clock), book_->code(0, clock + 1));
  const auto first = ask(Kind::accept);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->step, clock);
  answer(*first, "accepted");
  EXPECT_FALSE(ask(Kind::accept)) << "a server has taken it for the next step's";
  const auto later = ask(Kind::accept, noon_ms + 30'000);
  ASSERT_TRUE(later);
  EXPECT_EQ(later->step, clock + 2);
  EXPECT_EQ(ledger_.failures(), 0u);
}

TEST_F(Verdicts, AnAcceptedReplayAndARefusedValidCodeFailTheRun) {
  const auto prime = ask(Kind::replay);
  ASSERT_TRUE(prime);
  EXPECT_EQ(prime->kind, Kind::prime);
  answer(*prime, "accepted");
  const auto replay = ask(Kind::replay);
  ASSERT_TRUE(replay);
  EXPECT_EQ(replay->kind, Kind::replay);
  EXPECT_EQ(replay->user, prime->user);
  answer(*replay, "replayed");
  EXPECT_EQ(ledger_.failures(), 0u);
  auto next = ask(Kind::replay);
  for (; next->kind == Kind::prime; next = ask(Kind::replay)) answer(*next, "accepted");
  answer(*next, "accepted");
  EXPECT_EQ(ledger_.failures(), 1u);
  answer(*ask(Kind::accept), "rejected");
  EXPECT_EQ(ledger_.failures(), 2u);
  answer(*ask(Kind::wrong), "accepted");
  EXPECT_EQ(ledger_.failures(), 3u);
}

TEST_F(Verdicts, TheHotUserIsAcceptedOnceAStepWhoeverAsks) {
  const auto first = ask(Kind::hot), second = ask(Kind::hot);
  answer(*second, "accepted");
  answer(*first, "replayed");
  EXPECT_EQ(ledger_.failures(), 0u);
  answer(*ask(Kind::hot), "accepted");
  EXPECT_EQ(ledger_.failures(), 1u);
}

TEST_F(Verdicts, WhatCameAfterTheStepIsLateAndProvesNothing) {
  const auto asked = ask(Kind::accept);
  answer(*asked, "rejected", noon_ms + 30'000);
  EXPECT_EQ(ledger_.failures(), 0u);
  EXPECT_EQ(recorder_[Kind::accept].result(Outcome::late), 1u);
}

TEST_F(Verdicts, AnAnswerAboutSomebodyElseFailsTheRun) {
  const auto asked = ask(Kind::wrong);
  requests_->judge(*asked, {.status = 200, .body = R"({"result":"rejected","user":"somebody else"})"}, noon_ms, &recorder_);
  EXPECT_EQ(ledger_.failures(), 1u);
}

TEST_F(Verdicts, OverloadIsNoWrongAnswerAndNoKeyEndsTheRun) {
  requests_->judge(*ask(Kind::accept), {.status = 503, .body = "{}"}, noon_ms, &recorder_);
  EXPECT_EQ(ledger_.failures(), 0u);
  EXPECT_EQ(recorder_[Kind::accept].result(Outcome::overloaded), 1u);
  requests_->judge(*ask(Kind::accept), {.status = 401, .body = "{}"}, noon_ms, &recorder_);
  EXPECT_TRUE(ledger_.stopped());
}

TEST_F(Verdicts, WrongCodesAreNobodysCodeInAnyStepOfTheRun) {
  for (std::uint64_t guess = 0; guess < 1000; ++guess) {
    for (std::int64_t step = noon_ms / 30'000 - 3; book_->has(0, step); ++step)
      EXPECT_NE(book_->wrong_code(0, guess), book_->code(0, step));
  }
}

TEST(Guesses, AreAllowedAsPolicySays) {
  const engine::Lockout lockout;
  EXPECT_EQ(guesses_allowed(lockout, 0), 10u);
  EXPECT_EQ(guesses_allowed(lockout, 1), 11u);
  EXPECT_EQ(guesses_allowed(lockout, 3.5), 12u);
  EXPECT_EQ(guesses_allowed(lockout, 1e9), 100u);
}

}  // namespace
}  // namespace watchword::load
