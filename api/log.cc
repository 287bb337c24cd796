#include "api/log.h"

#include <spdlog/async.h>
#include <spdlog/formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <csignal>
#include <ctime>

namespace watchword::api {
namespace {

// Before a text that log() has made, to tell it from the plain messages of the rooms below.
constexpr char made_mark = '\x1f';

constexpr std::size_t lines_waiting_max = 8192;

class JsonLines : public spdlog::formatter {
 public:
  void format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& out) override {
    using namespace std::chrono;
    const auto since_epoch = message.time.time_since_epoch();
    const std::time_t seconds = duration_cast<std::chrono::seconds>(since_epoch).count();
    const auto ms = duration_cast<milliseconds>(since_epoch).count() % 1000;
    std::tm utc{};
    gmtime_r(&seconds, &utc);
    const auto level = spdlog::level::to_string_view(message.level);
    const std::string_view payload(message.payload.data(), message.payload.size());
    std::string line = fmt::format("{{\"time\":\"{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z\",\"level\":\"{}\",",
                                   utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, ms,
                                   std::string_view(level.data(), level.size()));
    if (!payload.empty() && payload.front() == made_mark) {
      line += payload.substr(1);
    } else {
      line += "\"event\":\"message\",\"message\":\"" + json_escaped(payload) + "\"";
    }
    line += "}\n";
    out.append(line.data(), line.data() + line.size());
  }
  std::unique_ptr<spdlog::formatter> clone() const override { return std::make_unique<JsonLines>(); }
};

spdlog::level::level_enum spdlog_level(Level level) {
  switch (level) {
    case Level::debug:
      return spdlog::level::debug;
    case Level::info:
      return spdlog::level::info;
    case Level::warning:
      return spdlog::level::warn;
    case Level::error:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

}  // namespace

std::string json_escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  return out;
}

void set_up_log(const std::string& level) {
  // The writer's thread takes no signals: one that it took would end the process past everybody who waits for it.
  const auto take_no_signals = [] {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, nullptr);
  };
  spdlog::init_thread_pool(lines_waiting_max, 1, take_no_signals);
  auto logger = std::make_shared<spdlog::async_logger>("watchword", std::make_shared<spdlog::sinks::stderr_sink_mt>(),
                                                       spdlog::thread_pool(), spdlog::async_overflow_policy::overrun_oldest);
  logger->set_formatter(std::make_unique<JsonLines>());
  logger->set_level(spdlog::level::from_str(level));
  spdlog::set_default_logger(std::move(logger));
}

void close_log() {
  spdlog::shutdown();
}

void log(Level level, std::string_view event, std::initializer_list<std::pair<std::string_view, Value>> fields) {
  std::string text(1, made_mark);
  text += "\"event\":\"" + json_escaped(event) + "\"";
  for (const auto& [name, value] : fields) {
    const auto* const words = std::get_if<std::string>(&value);
    if (words != nullptr && words->empty()) continue;
    text += ",\"" + json_escaped(name) + "\":";
    if (const auto* number = std::get_if<std::int64_t>(&value)) {
      text += std::to_string(*number);
    } else {
      text += '"';
      text += json_escaped(*words);
      text += '"';
    }
  }
  spdlog::default_logger_raw()->log(spdlog_level(level), spdlog::string_view_t(text.data(), text.size()));
}

}  // namespace watchword::api
