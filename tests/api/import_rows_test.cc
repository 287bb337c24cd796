#include "api/import_rows.h"

#include "admin_plane_fixture.h"

namespace watchword::api {
namespace {

class ImportRowsTest : public AdminPlaneTest {
 protected:
  // The body in pieces of so many bytes.
  boost::json::object import(std::string_view body, std::size_t piece_bytes) {
    ImportRows rows(engine.registrar, {.actor = "key:1", .address = {}, .trace = {}}, engine::secret_bytes_min);
    std::optional<Response> over;
    for (std::size_t at = 0; at < body.size() && !over; at += piece_bytes) over = rows.take(body.substr(at, piece_bytes));
    const Response answer = over ? *over : rows.finish();
    EXPECT_EQ(answer.status, 200u);
    return boost::json::parse(answer.body).as_object();
  }
  static std::string row(const std::string& user, const std::string& secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ") {
    return R"({"user":")" + user + R"(","name":"phone","secret":")" + secret + "\"}";
  }
};

TEST_F(ImportRowsTest, TheSameBodyComesToTheSameInPiecesOfAnySize) {
  const std::string body =
      row("ada") + "\r\n\n" + row("bo", "0189") + "\n \t\n{}\n" + std::string(9000, 'x') + "\n" + row("zoë");
  const boost::json::object whole = import(body, body.size());
  EXPECT_EQ(whole.at("rows"), 5);
  EXPECT_EQ(whole.at("imported"), 2);
  for (const std::size_t piece : {1u, 2u, 7u, 64u, 8191u, 8192u, 8193u}) {
    const boost::json::object again = import(body, piece);
    EXPECT_EQ(again.at("unchanged"), 2) << piece;
    EXPECT_EQ(again.at("refused"), whole.at("refused")) << piece;
  }
  const boost::json::array& refused = whole.at("refused").as_array();
  ASSERT_EQ(refused.size(), 3u);
  EXPECT_EQ(refused[0].at("line"), 3);
  EXPECT_EQ(refused[1].at("line"), 5);
  EXPECT_EQ(refused[2].at("line"), 6);
}

TEST_F(ImportRowsTest, ARowThatHasNotEndedIsNone) {
  {
    ImportRows rows(engine.registrar, {.actor = "key:1", .address = {}, .trace = {}}, engine::secret_bytes_min);
    EXPECT_FALSE(rows.take(row("ada") + "\n" + row("bo")));
  }
  EXPECT_TRUE(engine.store.load("ada"));
  EXPECT_FALSE(engine.store.load("bo"));
}

TEST_F(ImportRowsTest, ALineOfAnyLengthIsOneRefusal) {
  const boost::json::object told = import(std::string(1 << 20, 'x') + "\n" + row("ada") + "\n", 4096);
  EXPECT_EQ(told.at("rows"), 2);
  EXPECT_EQ(told.at("refused_rows"), 1);
  EXPECT_EQ(told.at("imported"), 1);
}

}  // namespace
}  // namespace watchword::api
