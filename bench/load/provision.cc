#include "bench/load/provision.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <exception>
#include <mutex>
#include <stdexcept>
#include <thread>

#include "bench/load/api_client.h"
#include "engine/base32.h"
#include "engine/otp.h"

namespace watchword::load {
namespace {

// Each waits for the disk in its turn; the server commits those that wait together at once.
constexpr std::size_t clients_max = 48;
constexpr int patience_tries = 100;

// Calls `work` with a client and 0 .. count-1, from several threads; the first fault ends all and is thrown.
template <class Work>
void in_parallel(const Options& options, const Target& target, SSL_CTX* tls, std::size_t count, Work work) {
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  std::exception_ptr fault;
  {
    std::vector<std::jthread> threads;
    for (std::size_t t = 0; t < std::min(clients_max, count); ++t) {
      threads.emplace_back([&] {
        try {
          ApiClient client(target, tls, options.key);
          for (std::size_t i; (i = next.fetch_add(1)) < count;) work(client, i);
        } catch (...) {
          next = count;
          const std::lock_guard lock(mutex);
          if (!fault) fault = std::current_exception();
        }
      });
    }
  }
  if (fault) std::rethrow_exception(fault);
}

// An overloaded server is asked again.
Reply call_patiently(ApiClient& client, std::string_view method, const std::string& path, const std::string& body = {}) {
  Reply reply;
  for (int tries = 0; tries < patience_tries; ++tries) {
    reply = client.call(method, path, body);
    if (reply.status != 503 && reply.status != 429) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  return reply;
}

[[noreturn]] void refuse(std::string_view what, const Reply& reply) {
  throw std::runtime_error(
      fmt::format("{}: the server answers {}: {}{}", what, reply.status, reply.body.substr(0, 300),
                  reply.status == 401 || reply.status == 403
                      ? "\nThe key needs the scopes enroll and verify; or import users and name the file with --users-file"
                      : ""));
}

std::string field(const Reply& reply, std::string_view name) {
  std::size_t at = 0;
  return std::string(text_field(reply.body, name, at));
}

}  // namespace

std::vector<User> provision(const Options& options, const Target& target, SSL_CTX* tls, const std::string& run,
                            std::atomic<std::size_t>& done) {
  std::vector<User> users(options.users);
  const std::string body =
      fmt::format("{{\"name\":\"load\",\"algorithm\":\"{}\",\"digits\":{},\"period\":{}}}",
                  engine::to_string(options.parameters.algorithm), options.parameters.digits, options.parameters.period_s);
  in_parallel(options, target, tls, users.size(), [&](ApiClient& client, std::size_t i) {
    User& user = users[i];
    user.name = fmt::format("load-{}-{:07}", run, i);
    user.parameters = options.parameters;
    const Reply begun = call_patiently(client, "POST", fmt::format("/v1/users/{}/devices", user.name), body);
    if (begun.status != 201) refuse("registering a user", begun);
    auto secret = engine::base32_decode(field(begun, "\"secret\""));
    if (!secret) throw std::runtime_error("the answer to a registration holds no secret");
    user.secret = engine::SecretBytes(std::move(*secret));
    const std::string path = fmt::format("/v1/users/{}/devices/{}/confirm", user.name, field(begun, "\"id\""));
    const std::int64_t period_ms = std::int64_t{1000} * user.parameters.period_s;
    // A step may end on the way: then once more.
    for (int tries = 0;; ++tries) {
      const engine::UnixMillis before{engine::wall_now().value - period_ms};
      user.used_step = engine::step_at(before, user.parameters.period_s);
      const std::string code = engine::totp(user.parameters, user.secret.bytes(), before);
      const Reply confirmed = call_patiently(client, "POST", path, fmt::format("{{\"code\":\"{}\"}}", code));
      if (field(confirmed, "\"status\"") == "active") break;
      if (confirmed.status != 200 || tries == 2)
        refuse("confirming a device (are the clocks of both machines right?)", confirmed);
    }
    done.fetch_add(1, std::memory_order_relaxed);
  });
  return users;
}

std::size_t remove_users(const Options& options, const Target& target, SSL_CTX* tls, const std::string& run) {
  namespace json = boost::json;
  std::size_t removed = 0;
  for (const std::string& prefix : {fmt::format("load-{}-", run), fmt::format("new-{}-", run)}) {
    while (true) {
      ApiClient client(target, tls, options.key);
      const Reply page = client.call("GET", fmt::format("/v1/users?prefix={}&limit=1000", prefix));
      if (page.status != 200) refuse("listing the users of this run", page);
      std::vector<std::string> names;
      const json::value document = json::parse(page.body);
      for (const json::value& user : document.at("users").as_array()) {
        names.emplace_back(std::string_view(user.is_string() ? user.as_string() : user.at("user").as_string()));
      }
      if (names.empty()) break;
      in_parallel(options, target, tls, names.size(), [&](ApiClient& own, std::size_t i) {
        const Reply reply = call_patiently(own, "DELETE", fmt::format("/v1/users/{}", names[i]));
        if (reply.status / 100 != 2) refuse("removing a user", reply);
      });
      removed += names.size();
    }
  }
  return removed;
}

ServerPolicy read_policy(const Options& options, const Target& target, SSL_CTX* tls) {
  namespace json = boost::json;
  ServerPolicy policy;
  ApiClient client(target, tls, options.key);
  const Reply reply = client.call("GET", "/v1/policy");
  if (reply.status == 401) {
    throw std::runtime_error("the server does not know this key; give a valid one in WATCHWORD_API_KEY or with --key-file");
  }
  if (reply.status != 200) return policy;
  const json::value document = json::parse(reply.body);
  policy.window_steps = document.at("window_steps").to_number<unsigned>();
  const json::value& lockout = document.at("lockout");
  policy.lockout.failures = lockout.at("failures").to_number<unsigned>();
  policy.lockout.delay_s_min = lockout.at("delay_s_min").to_number<std::uint32_t>();
  policy.lockout.delay_s_max = lockout.at("delay_s_max").to_number<std::uint32_t>();
  policy.lockout.hard_failures = lockout.at("hard_failures").to_number<unsigned>();
  return policy;
}

}  // namespace watchword::load
