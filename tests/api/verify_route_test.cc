// A verification over HTTP allocates nothing in steady state, from the head's first byte to the answer's last; and what it
// is told where a queue is full.
#include "api/request_parser.h"
#include "api/response_writer.h"
#include "api/verify_plane.h"
#include "tests/engine/allocation_counter.h"
#include "tests/engine/engine_fixture.h"

namespace watchword::api {
namespace {

using engine::test::allocations_of_this_thread;

class VerifyRoute : public engine::test::EngineTest {
 protected:
  class DroppingSink : public engine::TicketSink {
   public:
    void deliver(engine::Ticket*) noexcept override {}
  };

  static std::string request(const std::string& user, const std::string& code) {
    const std::string body = R"({"user":")" + user + R"(","code":")" + code + R"("})";
    return "POST /v1/verify HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer k\r\nContent-Type: application/json\r\n"
           "Content-Length: " +
           std::to_string(body.size()) + "\r\n\r\n" + body;
  }

  // As a connection does with one request; the exchange is used again. False: no head, or no answer at once.
  bool answer(std::string_view input) {
    HeadFault fault;
    const std::optional<RequestHead> head = parse_head(input, fault);
    if (!head) return false;
    exchange.out.clear();
    if (plane.verify(exchange, input.substr(head->bytes, head->content_length)) != VerifyPlane::Progress::waits)
      return false;
    bool ready = false;
    plane.judge(start,
                [&](const Exchange&, VerifyPlane::Progress progress) { ready = progress == VerifyPlane::Progress::ready; });
    plane.publish();
    return ready;
  }

  DroppingSink sink;
  engine::Producer& producer{engine.committer.add_producer(&sink)};
  LoopMetrics metrics;
  VerifyPlane plane{engine, producer, &metrics};
  Exchange exchange;
};

TEST_F(VerifyRoute, AllocatesNothingInSteadyState) {
  const auto phone = registered("ada@example.org");
  const std::string wrong = request("ada@example.org", phone.wrong_code(start));
  engine::test::Client other(engine);
  ASSERT_EQ(other.result("ada@example.org", phone.code(start), start), engine::Result::accepted);
  const std::string used = request("ada@example.org", phone.code(start));
  ASSERT_TRUE(answer(wrong));
  EXPECT_NE(exchange.out.find(R"("rejected")"), std::string::npos) << exchange.out;
  ASSERT_TRUE(answer(used));
  EXPECT_NE(exchange.out.find(R"("replayed")"), std::string::npos) << exchange.out;
  const std::uint64_t before = allocations_of_this_thread();
  bool answered = true;
  for (int i = 0; i < 5; ++i) answered &= answer(wrong) && answer(used);
  EXPECT_EQ(allocations_of_this_thread(), before);
  EXPECT_TRUE(answered);
}

TEST_F(VerifyRoute, RefusesWhatAQueueHasNoRoomForAsAFullRoundDoes) {
  const auto phone = registered("ada@example.org");
  const std::string wrong = request("ada@example.org", phone.wrong_code(start));
  ASSERT_TRUE(answer(wrong));
  EXPECT_NE(exchange.out.find(R"("rejected")"), std::string::npos) << exchange.out;
  while (producer.has_room(1)) producer.push({}, nullptr);
  ASSERT_TRUE(answer(wrong));
  std::string expected;
  write_overloaded(expected, {});
  EXPECT_EQ(exchange.out, expected);
  EXPECT_EQ(exchange.status, 503);
}

}  // namespace
}  // namespace watchword::api
