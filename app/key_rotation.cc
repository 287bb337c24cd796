// keys rotate and keys show: of a data directory that no server has open, or of a running server.
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <stdexcept>
#include <thread>

#include <fmt/format.h>
#include <boost/json.hpp>

#include "api/keys_json.h"
#include "app/commands.h"
#include "engine/committer.h"
#include "engine/rcu.h"
#include "storage/open.h"

namespace watchword::app {
namespace {

namespace json = boost::json;

constexpr std::chrono::milliseconds look_interval{200};
constexpr std::chrono::seconds line_interval{5};  // where stderr is no terminal

// How far it is, on a line that overwrites itself, or on one now and then.
class FollowedLine {
 public:
  void show(const json::object& keys) {
    const auto done = keys.at("rows_done").to_number<std::uint64_t>();
    const auto all = std::max(done, keys.at("rows_estimated").to_number<std::uint64_t>());
    const auto now = std::chrono::steady_clock::now();
    if (!terminal_ && now - shown_at_ < line_interval) return;
    shown_at_ = now;
    const std::string line =
        fmt::format("Sealing anew: {} of about {} people ({} %)", done, all, all > 0 ? done * 100 / all : 100);
    std::fprintf(stderr, terminal_ ? "\r%s" : "%s\n", line.c_str());
    begun_ = true;
  }
  void end() const {
    if (begun_ && terminal_) std::fprintf(stderr, "\n");
  }

 private:
  const bool terminal_ = isatty(STDERR_FILENO) == 1;
  bool begun_ = false;
  std::chrono::steady_clock::time_point shown_at_ = std::chrono::steady_clock::now();
};

// Until nothing is left to do. `look`: the keys as they are now.
template <class Look>
json::object follow(Look look) {
  FollowedLine line;
  for (;;) {
    json::object keys = look();
    if (!keys.at("resealing").as_bool()) {
      line.end();
      return keys;
    }
    line.show(keys);
    std::this_thread::sleep_for(look_interval);
  }
}

int tell(const json::object& keys, bool new_master_key) {
  const json::array& data_keys = keys.at("data_keys").as_array();
  const bool pending = keys.at("next_master_key").is_string();
  if (new_master_key) {
    if (pending) {
      std::fprintf(
          stderr,
          "The new master key opens the store, and so does the old one still. Put the new one where the master key is\n"
          "read from and restart the server; from then on the old one opens nothing but older backups.\n");
    } else {
      std::fprintf(
          stderr,
          "The new master key is in place; the old one stands beside it, in a file that ends in .old. It opens backups\n"
          "that were made before: keep it, elsewhere, until they are gone. Keep a copy of the new one elsewhere too.\n");
    }
  }
  const auto unreadable = keys.at("rows_unreadable").to_number<std::uint64_t>();
  if (unreadable > 0) {
    std::fprintf(stderr, "%llu people's rows are damaged and could not be sealed anew; the old data key stays.\n",
                 static_cast<unsigned long long>(unreadable));
    return 1;
  }
  if (data_keys.size() > 1)
    throw std::runtime_error("sealing anew has stopped; the log says why. It goes on at the next start");
  std::fprintf(stderr, "Everything is sealed under data key %llu.\n",
               static_cast<unsigned long long>(data_keys.back().at("version").to_number<std::uint64_t>()));
  return 0;
}

json::object keys_of(const RemoteOptions& remote) {
  std::string body;
  RemoteServer(remote).get("/v1/keys", [&body](std::string_view piece) { body += piece; });
  return json::parse(body).as_object();
}

struct OpenStore {
  explicit OpenStore(const Config& config) {
    storage::RocksStoreOptions options = config.store;
    options.reseal_rows_per_s_max = 0;  // nobody else is served meanwhile
    options.warn = [](const std::string& text) { std::fprintf(stderr, "watchword: %s\n", text.c_str()); };
    store = storage::open_rocks_store(options);
  }
  engine::RcuThread rcu;
  std::unique_ptr<engine::Store> store;
};

std::string absolute(const std::string& file) {
  return file.empty() ? file : std::filesystem::absolute(file).string();
}

}  // namespace

int run_remote_keys_rotate(const RemoteOptions& remote, const std::string& new_master_key_file) {
  const std::string file = absolute(new_master_key_file);
  RemoteServer(remote).post("/v1/keys/rotate",
                            file.empty() ? "" : json::serialize(json::object{{"new_master_key_file", file}}));
  return tell(follow([&] { return keys_of(remote); }), !file.empty());
}

int run_remote_keys_show(const RemoteOptions& remote) {
  std::printf("%s\n", json::serialize(keys_of(remote)).c_str());
  return 0;
}

int run_keys_rotate(const Config& config, const std::string& new_master_key_file) {
  const std::string new_master_key = absolute(new_master_key_file);
  const OpenStore opened(config);
  engine::Store& store = *opened.store;
  engine::Committer committer(store);
  // A server waits for room on the disk; who stands before a terminal is told.
  const auto look = [&store] {
    json::object keys = api::keys_object(store.keys());
    const engine::StoreHealth health = store.health();
    if (keys.at("resealing").as_bool() && !health.writable) {
      throw std::runtime_error("the store takes no writes: " + health.reason +
                               ". Run this again then; it goes on where it was");
    }
    return keys;
  };
  const engine::RotationRequest rotation{.new_master_key_file = new_master_key, .now = engine::wall_now()};
  const auto rotated = store.rotate_keys(rotation, [&](engine::Change& change) {
    change.audit.push_back({.at = rotation.now,
                            .origin = {.actor = "cli", .address = {}, .trace = {}},
                            .action = "keys.rotate",
                            .user = {},
                            .device = {},
                            .detail = api::rotation_detail(store.keys(), rotation)});
    return committer.commit(change);
  });
  if (rotated) return tell(follow(look), !new_master_key.empty());
  // What an earlier rotation left undone is done here as well as anything.
  if (rotated.error().refusal != engine::RotationRefusal::running || !new_master_key.empty()) {
    throw std::runtime_error(rotated.error().reason);
  }
  std::fprintf(stderr, "An earlier rotation had not come to its end; it goes on.\n");
  return tell(follow(look), false);
}

int run_keys_show(const Config& config) {
  std::printf("%s\n", json::serialize(api::keys_object(OpenStore(config).store->keys())).c_str());
  return 0;
}

}  // namespace watchword::app
