#include "api/audit_queue.h"

#include <algorithm>

#include <spdlog/spdlog.h>

namespace watchword::api {
namespace {

// A path may hold bytes that no JSON text has; it is cut and told in ASCII.
std::string told_path(std::string_view target) {
  std::string path(target.substr(0, std::min(target.find('?'), AuditQueue::path_bytes_max)));
  std::replace_if(
      path.begin(), path.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
  return path;
}

}  // namespace

AuditQueue::AuditQueue(engine::Committer& committer) : committer_(committer), thread_([this] { run(); }) {}

AuditQueue::~AuditQueue() {
  stop();
}

void AuditQueue::refused(const engine::Origin& origin, unsigned status, Method method, std::string_view target,
                         engine::UnixMillis now) {
  const std::lock_guard lock(mutex_);
  if (stopping_ || waiting_.size() >= waiting_max || !budget_.take(now)) {
    ++left_out_;
    left_out_total_.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  std::string detail = R"({"status":)" + std::to_string(status) + R"(,"method":")" + std::string(to_string(method)) +
                       R"(","path":)" + engine::json_quoted(told_path(target));
  if (left_out_ > 0) detail += R"(,"left_out":)" + std::to_string(left_out_);
  left_out_ = 0;
  waiting_.push_back(
      {.at = now, .origin = origin, .action = "request.refused", .user = {}, .device = {}, .detail = detail + "}"});
  wake_.notify_one();
}

void AuditQueue::run() {
  for (;;) {
    engine::Change change;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
      if (waiting_.empty()) return;
      change.audit.swap(waiting_);
    }
    if (committer_.commit(change) == engine::Outcome::durable) continue;
    spdlog::warn("{} entries are missing in the audit trail: the store takes no writes", change.audit.size());
  }
}

std::size_t AuditQueue::backlog() const {
  const std::lock_guard lock(mutex_);
  return waiting_.size();
}

void AuditQueue::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

}  // namespace watchword::api
