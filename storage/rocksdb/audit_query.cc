// A page of the audit trail: rows found through the index, newest first, and of each the entries that were asked for.
#include <rocksdb/snapshot.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "engine/store.h"
#include "engine/thread_rank.h"
#include "storage/rocksdb/audit_chain.h"
#include "storage/rocksdb/format.h"

namespace watchword::storage {
namespace {

// What reading costs, in looks at an index key (some 0.3 us).
constexpr std::size_t row_effort = 20;
constexpr std::size_t entries_per_effort = 2;
constexpr std::size_t moment_bytes = 16;

std::string_view view(const rocksdb::Slice& bytes) {
  return {bytes.data(), bytes.size()};
}

bool later(const engine::AuditMoment& a, const engine::AuditMoment& b) {
  return a.at_ms != b.at_ms ? a.at_ms > b.at_ms : a.sequence > b.sequence;
}

// Goes back in time over the index keys that begin with a prefix.
class IndexWalk {
 public:
  // From `from_ms` on, and before `end`.
  IndexWalk(rocksdb::DB& db, const rocksdb::Snapshot* snapshot, rocksdb::ColumnFamilyHandle* index, std::string prefix,
            std::int64_t from_ms, const engine::AuditMoment& end)
      : prefix_(std::move(prefix)), begin_(prefix_ + audit_moment(from_ms, 0)), lower_(begin_) {
    rocksdb::ReadOptions options;
    options.iterate_lower_bound = &lower_;
    options.snapshot = snapshot;
    at_.reset(db.NewIterator(options, index));
    const std::string last = prefix_ + audit_moment(end.at_ms, end.sequence);
    at_->SeekForPrev(last);
    if (at_->Valid() && view(at_->key()) == last) at_->Prev();
  }
  IndexWalk(const IndexWalk&) = delete;
  IndexWalk& operator=(const IndexWalk&) = delete;

  bool valid() const {
    if (!at_->status().ok()) throw engine::StoreError("the audit trail cannot be read: " + at_->status().ToString());
    return at_->Valid() && view(at_->key()).starts_with(prefix_) && at_->key().size() == prefix_.size() + moment_bytes;
  }
  engine::AuditMoment moment() const {
    const std::string_view bytes = view(at_->key()).substr(prefix_.size());
    return {.at_ms = static_cast<std::int64_t>(decode_big_endian(bytes.substr(0, 8))),
            .sequence = decode_big_endian(bytes.substr(8))};
  }
  std::string_view value() const { return view(at_->value()); }
  void next() { at_->Prev(); }

 private:
  const std::string prefix_, begin_;
  const rocksdb::Slice lower_;
  std::unique_ptr<rocksdb::Iterator> at_;
};

bool asked_for(const engine::AuditQuery& query, const engine::AuditEntry& entry) {
  return entry.at >= query.from && entry.at < query.to && (query.user.empty() || entry.user == query.user) &&
         (query.action.empty() || entry.action == query.action);
}

// Rows that end later than what is asked for may begin in it.
engine::AuditMoment end_of(const engine::AuditQuery& query) {
  const std::int64_t most = std::numeric_limits<std::int64_t>::max() - bundle_span_ms;
  const engine::AuditMoment end{.at_ms = std::min(query.to.value, most) + bundle_span_ms, .sequence = 0};
  return later(end, query.before) ? query.before : end;
}

}  // namespace

engine::AuditPage AuditChain::query(const engine::AuditQuery& query, std::size_t effort_max) const {
  engine::AuditPage page;
  if (query.to.value <= 0 || query.limit == 0) return page;
  const bool by_user = !query.user.empty();
  const std::uint16_t mark = audit_user_mark(query.user);
  const engine::AuditMoment end = end_of(query);
  // One state for both walks: a group that is written meanwhile is in neither.
  rocksdb::ManagedSnapshot snapshot(&db_);
  IndexWalk rows(db_, snapshot.snapshot(), index_,
                 by_user                 ? audit_user_prefix(query.user)
                 : !query.action.empty() ? audit_action_prefix(query.action)
                                         : audit_time_prefix(),
                 query.from.value, end);
  std::optional<IndexWalk> bundles;
  if (by_user) bundles.emplace(db_, snapshot.snapshot(), index_, audit_summary_prefix(), query.from.value, end);
  std::size_t effort = 0;
  for (engine::AuditMoment moment;; ++effort) {
    engine::give_way();
    const bool row = rows.valid(), bundle = by_user && bundles->valid();
    if (!row && !bundle) return page;
    if (effort >= effort_max && effort > 0) {
      page.next = moment;  // the row looked at last, and all of it
      return page;
    }
    const bool bundle_is_next = bundle && (!row || later(bundles->moment(), rows.moment()));
    IndexWalk& at = bundle_is_next ? *bundles : rows;
    moment = at.moment();
    const bool wanted =
        bundle_is_next ? has_audit_mark(at.value(), mark) : !by_user || query.action.empty() || at.value() == query.action;
    at.next();
    if (!wanted) continue;
    std::vector<engine::AuditEntry> entries = read_row(moment.sequence);
    effort += row_effort + entries.size() / entries_per_effort;
    for (std::size_t i = entries.size(); i-- > 0;) {
      const std::uint64_t sequence = moment.sequence + i;
      if (moment.at_ms == query.before.at_ms && sequence >= query.before.sequence) continue;  // of the page before
      if (!asked_for(query, entries[i])) continue;
      if (page.rows.size() == query.limit) {
        page.next = {.at_ms = moment.at_ms, .sequence = sequence + 1};
        return page;
      }
      page.rows.push_back({.sequence = sequence, .entry = std::move(entries[i])});
    }
  }
}

}  // namespace watchword::storage
