#include "api/verification_notes.h"

#include "api/json_text.h"
#include "engine/hex.h"
#include "engine/rcu.h"

namespace watchword::api {

using engine::AuditVerifications;
using engine::Result;

void append_lock_detail(std::string& out, bool hard, std::uint32_t retry_after_s) {
  out += hard ? R"({"hard":true)" : R"({"hard":false)";
  if (retry_after_s > 0) {
    out += R"(,"retry_after_s":)";
    append_number(out, retry_after_s);
  }
  out += '}';
}

bool VerificationNotes::wants(const engine::Verdict& verdict, engine::UnixMillis now) {
  const engine::ReadScope scope;
  const AuditVerifications wanted = policy_.current().audit_verifications;
  // The same answer a second time decides nothing.
  if (wanted == AuditVerifications::none || verdict.repeated) return false;
  if (verdict.result == Result::accepted) return wanted == AuditVerifications::all;
  if (verdict.result == Result::rejected || idle_.take(now)) return true;
  ++left_out_;
  left_out_total_.store(left_out_total_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  return false;
}

void VerificationNotes::begin_detail(const engine::Verdict& verdict) {
  detail_.clear();
  detail_ += R"({"result":")";
  detail_ += to_string(verdict.result);
  detail_ += '"';
  if (verdict.hard_locked) detail_ += R"(,"hard_locked":true)";
  if (verdict.retry_after_s > 0) {
    detail_ += R"(,"retry_after_s":)";
    append_number(detail_, verdict.retry_after_s);
  }
  if (left_out_ > 0) {
    detail_ += R"(,"left_out":)";
    append_number(detail_, left_out_);
    left_out_ = 0;
  }
}

void VerificationNotes::push(const Asker& asker, std::string_view action, std::string_view user, std::uint64_t device,
                             engine::UnixMillis now) {
  char id[engine::hex64_digits];
  if (device != 0) engine::write_hex64(id, device);
  producer_.notes().push({.at = now,
                          .actor = asker.actor,
                          .address = asker.address,
                          .trace = asker.trace,
                          .action = action,
                          .user = user,
                          .device = device == 0 ? std::string_view() : std::string_view(id, sizeof id),
                          .detail = detail_});
}

void VerificationNotes::decided(const Asker& asker, std::string_view user, const engine::Verdict& verdict,
                                engine::UnixMillis now) {
  if (wants(verdict, now)) {
    begin_detail(verdict);
    detail_ += '}';
    push(asker, "verification", user, verdict.device.value, now);
  }
  if (!began_lock(verdict)) return;
  detail_.clear();
  append_lock_detail(detail_, verdict.hard_locked, verdict.retry_after_s);
  push(asker, "user.lock", user, 0, now);
}

void VerificationNotes::decided_recovery(const Asker& asker, std::string_view user, const engine::Verdict& verdict,
                                         engine::UnixMillis now) {
  if (verdict.result == Result::accepted || verdict.result == Result::rejected) return;
  if (!has_room(1) || !wants(verdict, now)) return;
  begin_detail(verdict);
  detail_ += R"(,"recovery_code":true})";
  push(asker, "verification", user, 0, now);
}

}  // namespace watchword::api
