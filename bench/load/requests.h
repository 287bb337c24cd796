// The requests of one thread and what may be answered to them. Each kind has people of its own in each thread, taken in turn
// and put back with the answer, so that no two requests in flight are about one person; the hot and the attacked person
// alone are everybody's.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bench/load/http_answer.h"
#include "bench/load/ledger.h"
#include "bench/load/options.h"
#include "bench/load/recorder.h"
#include "bench/load/users.h"

namespace watchword::load {

// One request in flight. Times are steady nanoseconds, all but `intended_ns` written by who sends it.
struct Asked {
  Kind kind = Kind::accept;
  bool history_known = true;    // of the person; otherwise the code may have been used before this run
  std::uint32_t user = 0;       // of the code book; none for registration and unknown people
  std::uint32_t batch = 0;      // slot of its items
  std::int64_t step = 0;        // of the code; of a registration the number in its name
  std::int64_t clock_step = 0;  // what the clock showed when it was made
  std::int64_t intended_ns = 0;
  std::int64_t free_ns = 0;  // since when its connection could have taken it
  std::int64_t sent_ns = 0;
};

// The people of each kind and thread.
class People {
 public:
  // Throws std::invalid_argument that says how many users are needed where these are too few.
  People(const Options& options, std::size_t users);

  std::uint32_t hot() const { return hot_; }
  std::uint32_t attacked() const { return attacked_; }
  std::deque<std::uint32_t> pool(Kind kind, unsigned thread) const;

 private:
  struct Range {
    std::uint32_t begin = 0, end = 0;
  };
  unsigned threads_;
  std::uint32_t hot_ = 0, attacked_ = 0;
  std::array<Range, kinds> ranges_{};
};

// What the server says it does, as far as the key may read it.
struct ServerPolicy {
  unsigned window_steps = 1;
  engine::Lockout lockout;
};

class Requests {
 public:
  // `phones` are everybody's; a thread touches those of its own people alone.
  Requests(const Options& options, const Target& target, const ServerPolicy& policy, const CodeBook& book,
           std::vector<User>& phones, const People& people, Ledger& ledger, std::string run, unsigned thread);

  // Appends a request of that kind. A replay of somebody whose code is too old becomes the acceptance before it. nullopt:
  // nobody has a fresh code now.
  std::optional<Asked> write(Kind kind, std::int64_t wall_ms, std::string& out);
  // A confirmation that a registration now waits for.
  std::optional<Asked> write_confirmation(std::string& out);

  // Counts what was answered. `record` is null where nothing is measured; wrong answers fail the run there too.
  void judge(const Asked& asked, const HttpAnswer& answer, std::int64_t wall_ms, Recorder* record);
  // No answer will come.
  void lose(const Asked& asked, Outcome why, Recorder* record);

 private:
  struct Item {
    std::uint32_t user;
    std::int64_t step;
    std::int64_t clock_step;
    bool fresh;
    bool history_known;
  };
  struct Registration {
    std::string path;
    std::string code;
    std::int64_t clock_step;
  };

  std::int64_t clock_step(std::uint32_t user, std::int64_t wall_ms) const;
  std::optional<std::int64_t> fresh_step(std::uint32_t user, std::int64_t clock) const;
  void use(std::uint32_t user, std::int64_t step, std::int64_t clock);
  void append_post(std::string& out, std::string_view path, std::string_view body) const;
  void append_verify(std::string& out, std::string_view quoted_name, std::uint32_t code, unsigned digits) const;
  std::optional<Asked> write_batch(std::int64_t wall_ms, std::string& out);
  std::optional<std::uint32_t> take(std::deque<std::uint32_t>& pool, std::int64_t wall_ms, std::int64_t& step);

  Outcome judge_fresh(std::uint32_t user, std::string_view result, bool history_known, bool clock_moved, std::int64_t step);
  Outcome judge_used(std::uint32_t user, std::string_view result, bool clock_moved, std::int64_t step);
  Outcome judge_guess(const Asked& asked, std::string_view result);
  Outcome judge_hot(const Asked& asked, std::string_view result, bool clock_moved);
  void judge_batch(const Asked& asked, const HttpAnswer& answer, std::int64_t wall_ms, Recorder* record);
  Outcome judge_registration(const Asked& asked, const HttpAnswer& answer, std::int64_t wall_ms);
  Outcome judge_confirmation(const Asked& asked, const HttpAnswer& answer, std::int64_t wall_ms);
  std::optional<Outcome> judge_status(const Asked& asked, const HttpAnswer& answer);
  void give_back(const Asked& asked);
  std::string_view name(std::uint32_t user) const { return book_->quoted_name(user); }

  const Options* options_;
  const CodeBook* book_;
  std::vector<User>* phones_;
  Ledger* ledger_;
  std::string run_;
  unsigned thread_;
  unsigned ahead_max_;
  std::uint32_t hot_, attacked_;
  std::array<std::deque<std::uint32_t>, kinds> pools_;
  std::vector<std::vector<Item>> batches_;
  std::vector<std::uint32_t> free_batches_;
  std::deque<Registration> to_confirm_;
  std::string head_;  // of every POST, from its path's end to the number of bytes
  std::string verify_head_;
  std::uint64_t invented_ = 0;
  std::uint64_t guess_ = 0;
};

}  // namespace watchword::load
