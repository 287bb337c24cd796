// The command that says the master key: bounded in time and output, and gone afterwards.
#include "storage/master_key.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <fstream>

#include "tests/storage/store_fixture.h"

namespace watchword::storage::test {
namespace {

using std::chrono::milliseconds, std::chrono::seconds;

std::string refusal_of(const std::vector<std::string>& argv, milliseconds timeout = seconds(10)) {
  try {
    static_cast<void>(ask_for_master_key(argv, timeout));
  } catch (const OpenError& fault) {
    return fault.what();
  }
  return "";
}

const std::string key_text(64, 'a');

TEST(MasterKeyCommand, ItsOutputIsTheKey) {
  EXPECT_EQ(ask_for_master_key({"printf", key_text}).bytes(), std::vector<std::uint8_t>(32, 0xaa));
  EXPECT_EQ(ask_for_master_key({"echo", key_text}).bytes(), std::vector<std::uint8_t>(32, 0xaa));
}

TEST(MasterKeyCommand, OneThatSaysNothingInTimeIsEnded) {
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_NE(refusal_of({"sleep", "60"}, milliseconds(200)).find("in time"), std::string::npos);
  EXPECT_NE(refusal_of({"sh", "-c", "exec >&-; sleep 60"}, milliseconds(200)).find("did not end in time"),
            std::string::npos);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, seconds(20));
}

TEST(MasterKeyCommand, WhatItStartedEndsWithIt) {
  const std::filesystem::path file =
      std::filesystem::temp_directory_path() / ("watchword-child-" + std::to_string(getpid()));
  EXPECT_NE(refusal_of({"sh", "-c", "sleep 60 & echo $! > " + file.string() + "; sleep 60"}, milliseconds(500)), "");
  pid_t grandchild = 0;
  std::ifstream(file) >> grandchild;
  std::filesystem::remove(file);
  ASSERT_GT(grandchild, 0);
  // Gone, or a zombie that its new parent has not looked at yet.
  std::string state;
  std::ifstream stat("/proc/" + std::to_string(grandchild) + "/stat");
  std::string number, name;
  stat >> number >> name >> state;
  EXPECT_TRUE(!stat || state == "Z" || state == "X") << state;
}

TEST(MasterKeyCommand, SignalsThatTheServerBlocksAreNotBlockedThere) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  EXPECT_NE(refusal_of({"sh", "-c", "kill -TERM $$; sleep 5; echo " + key_text}).find("signal 15"), std::string::npos);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

TEST(MasterKeyCommand, FingerprintsTellKeysApart) {
  const SecretBytes one = SecretBytes::random(32), other = SecretBytes::random(32);
  EXPECT_EQ(fingerprint(one), fingerprint(one));
  EXPECT_NE(fingerprint(one), fingerprint(other));
  EXPECT_EQ(fingerprint(one).size(), 16u);
}

}  // namespace
}  // namespace watchword::storage::test
