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

// A clock that was set back refills nothing until it has caught up; one that was set forward refills the burst once.
bool AuditQueue::admit(engine::UnixMillis now) {
  const std::int64_t passed = now.value - refilled_at_ms_;
  if (passed >= refill_ms) {
    tokens_ = static_cast<std::uint32_t>(std::min<std::int64_t>(burst, tokens_ + passed / refill_ms));
    refilled_at_ms_ = now.value;
  }
  if (tokens_ == 0 || waiting_.size() >= waiting_max) return false;
  --tokens_;
  return true;
}

void AuditQueue::refused(const engine::Origin& origin, unsigned status, Method method, std::string_view target,
                         engine::UnixMillis now) {
  const std::lock_guard lock(mutex_);
  if (stopping_ || !admit(now)) {
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

void AuditQueue::locked(const engine::Origin& origin, std::string_view user, std::uint32_t retry_after_s, bool hard,
                        engine::UnixMillis now) {
  const std::string detail =
      hard ? R"({"hard":true})" : R"({"hard":false,"retry_after_s":)" + std::to_string(retry_after_s) + "}";
  const std::lock_guard lock(mutex_);
  if (stopping_ || waiting_.size() >= waiting_max) {
    ++left_out_;
    left_out_total_.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  waiting_.push_back(
      {.at = now, .origin = origin, .action = "user.lock", .user = std::string(user), .device = {}, .detail = detail});
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
