#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "api/trail_file.h"
#include "api/trail_syslog.h"

namespace watchword::api {
namespace {

using engine::AuditRow;

AuditRow row(std::uint64_t sequence, std::string action = "device.remove", std::string detail = R"({"name":"phone"})") {
  return {.sequence = sequence,
          .entry = {.at = {1'795'528'800'123},
                    .origin = {.actor = "cli", .address = {}, .trace = {}},
                    .action = std::move(action),
                    .user = "ada",
                    .device = {},
                    .detail = std::move(detail)}};
}

class TrailStream : public testing::Test {
 protected:
  TrailStream() {
    std::string name = (std::filesystem::temp_directory_path() / "watchword-stream-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary directory");
    directory = name;
  }
  ~TrailStream() override { std::filesystem::remove_all(directory); }
  static std::string read(const std::filesystem::path& path) {
    std::ifstream in(path);
    std::stringstream text;
    text << in.rdbuf();
    return text.str();
  }
  static std::string line(std::uint64_t sequence) {
    return R"({"sequence":)" + std::to_string(sequence) +
           R"(,"at":"2026-11-24T14:00:00.123Z","actor":"cli","action":"device.remove","user":"ada","detail":{"name":"phone"}})"
           "\n";
  }
  std::filesystem::path directory;
};

TEST_F(TrailStream, AFileGetsALineAnEntryAndANewFileAfterRotation) {
  const std::filesystem::path path = directory / "trail.jsonl";
  TrailFile file(path);
  const std::vector<AuditRow> rows = {row(1), row(2)};
  EXPECT_EQ(file.deliver(rows, 1).taken, 2u);
  EXPECT_EQ(read(path), line(1) + line(2));
  std::filesystem::rename(path, directory / "trail.1");
  const std::vector<AuditRow> more = {row(3)};
  EXPECT_EQ(file.deliver(more, 1).taken, 1u);
  EXPECT_EQ(read(path), line(3));
  EXPECT_EQ(read(directory / "trail.1"), line(1) + line(2));
}

TEST_F(TrailStream, ALineThatACrashCutOffStandsAlone) {
  const std::filesystem::path path = directory / "trail.jsonl";
  std::ofstream(path) << line(1) << R"({"sequence":2,"a)";
  TrailFile file(path);
  const std::vector<AuditRow> rows = {row(2)};
  EXPECT_EQ(file.deliver(rows, 1).taken, 1u);
  EXPECT_EQ(read(path), line(1) + "{\"sequence\":2,\"a\n" + line(2));
}

TEST_F(TrailStream, AFileThatCannotBeWrittenHoldsTheTrail) {
  TrailFile file(directory / "missing" / "trail.jsonl");
  const std::vector<AuditRow> rows = {row(1)};
  const Delivery delivery = file.deliver(rows, 1);
  EXPECT_EQ(delivery.taken, 0u);
  EXPECT_EQ(delivery.rest, Delivery::Rest::holds);
  std::filesystem::create_directory(directory / "missing");
  EXPECT_EQ(file.deliver(rows, 2).taken, 1u);
  TrailFile pipe("/dev/null");
  EXPECT_EQ(pipe.deliver(rows, 1).rest, Delivery::Rest::holds);
}

TEST_F(TrailStream, ADatagramSocketGetsAMessageAnEntry) {
  const std::string path = (directory / "log").string();
  const int receiver = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(bind(receiver, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  TrailSyslog syslog(*SyslogTarget::parse("unix:" + path));
  const std::vector<AuditRow> rows = {row(1), row(2)};
  EXPECT_EQ(syslog.deliver(rows, 1).taken, 2u);
  for (const AuditRow& one : rows) {
    std::array<char, 4096> buffer{};
    const ssize_t got = recv(receiver, buffer.data(), buffer.size(), MSG_DONTWAIT);
    ASSERT_GT(got, 0);
    const std::string message(buffer.data(), static_cast<std::size_t>(got));
    EXPECT_TRUE(message.starts_with("<109>1 2026-11-24T14:00:00.123Z ")) << message;
    EXPECT_NE(message.find(" device.remove - {\"sequence\":" + std::to_string(one.sequence)), std::string::npos) << message;
  }
  close(receiver);
  std::filesystem::remove(path);
  TrailSyslog nobody(*SyslogTarget::parse("unix:" + path));
  EXPECT_EQ(nobody.deliver(rows, 1).rest, Delivery::Rest::holds);
}

TEST(SyslogMessage, WarnsOfRefusals) {
  EXPECT_TRUE(syslog_message(row(1, "verification", R"({"result":"rejected"})"), "h").starts_with("<108>1 "));
  EXPECT_TRUE(syslog_message(row(1, "user.lock", R"({"hard":true})"), "h").starts_with("<108>1 "));
  EXPECT_TRUE(syslog_message(row(1, "verification", R"({"result":"accepted"})"), "h").starts_with("<109>1 "));
}

TEST(SyslogTarget, IsAnAddressOrNone) {
  const auto udp = SyslogTarget::parse("udp://log.example.org");
  ASSERT_TRUE(udp.has_value());
  EXPECT_EQ(udp->host, "log.example.org");
  EXPECT_EQ(udp->port, "514");
  const auto tcp = SyslogTarget::parse("tcp://[::1]:6514");
  ASSERT_TRUE(tcp.has_value());
  EXPECT_EQ(tcp->host, "::1");
  EXPECT_EQ(tcp->port, "6514");
  EXPECT_EQ(SyslogTarget::parse("unix:/dev/log")->host, "/dev/log");
  for (const char* text :
       {"", "log", "udp://", "tcp://h:0", "tcp://h:x", "tcp://[::1", "unix:dev/log", "udp://h/path", "http://h"}) {
    EXPECT_FALSE(SyslogTarget::parse(text).has_value()) << text;
  }
}

}  // namespace
}  // namespace watchword::api
