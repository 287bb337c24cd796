// A request's bytes into what is asked: head, route, body.
#include <benchmark/benchmark.h>

#include <string>
#include <string_view>

#include "api/request_parser.h"
#include "api/routes.h"
#include "api/verify_json.h"

namespace watchword::bench {
namespace {

constexpr std::string_view body =
    R"({"user":"user123456@example.org","code":"123456","request_id":"01HF7YAT00000000000000"})";

std::string request() {
  return "POST /v1/verify HTTP/1.1\r\nHost: mfa.example.org\r\nUser-Agent: sign-in/1.0\r\nAccept: */*\r\n"
         "Authorization: Bearer ww_0123456789abcdef_0123456789abcdef0123456789abcdef\r\n"
         "Content-Type: application/json\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\n\r\n";
}

void parse_request_head(benchmark::State& state) {
  const std::string bytes = request();
  for (auto _ : state) {
    api::HeadFault fault;
    auto head = api::parse_head(bytes, fault);
    if (!head) state.SkipWithError("no head");
    benchmark::DoNotOptimize(head);
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(parse_request_head);

void parse_verify_body(benchmark::State& state) {
  api::VerifyFields fields;
  for (auto _ : state) {
    if (api::parse_verify(body, fields)) state.SkipWithError("refused");
    benchmark::DoNotOptimize(fields);
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(parse_verify_body);

void route(benchmark::State& state) {
  std::string_view target = state.range(0) == 0 ? "/v1/verify" : "/v1/users/user123456%40example.org/devices";
  for (auto _ : state) {
    benchmark::DoNotOptimize(target);
    benchmark::DoNotOptimize(api::route_of(target, 0x0f));
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(route)->Arg(0)->Arg(1);

}  // namespace
}  // namespace watchword::bench
