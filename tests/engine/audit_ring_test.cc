#include "engine/audit_ring.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <thread>

#include "tests/engine/engine_fixture.h"

namespace watchword::engine {
namespace {

AuditNote note(std::string_view user, std::string_view detail = "{}") {
  return {.at = {1'700'000'000'123},
          .actor = "key:0000000000000001",
          .address = "192.0.2.7",
          .trace = "t",
          .action = "verification",
          .user = user,
          .device = "00000000000000ab",
          .detail = detail};
}

// As the committer does, with the room given back at once.
void take(AuditRing& ring, std::vector<AuditEntry>& entries) {
  std::vector<AuditNote> notes;
  ring.take(notes);
  std::transform(notes.begin(), notes.end(), std::back_inserter(entries), entry_of);
  ring.done();
}

TEST(AuditRing, GivesBackWhatWasPushedOnceItIsPublished) {
  AuditRing ring;
  ASSERT_TRUE(ring.has_room(1));
  ring.push(note("ada", R"({"result":"rejected"})"));
  std::vector<AuditEntry> entries;
  take(ring, entries);
  EXPECT_TRUE(entries.empty());
  ring.publish();
  take(ring, entries);
  ASSERT_EQ(entries.size(), 1u);
  const AuditEntry expected{.at = {1'700'000'000'123},
                            .origin = {.actor = "key:0000000000000001", .address = "192.0.2.7", .trace = "t"},
                            .action = "verification",
                            .user = "ada",
                            .device = "00000000000000ab",
                            .detail = R"({"result":"rejected"})"};
  EXPECT_EQ(entries.front(), expected);
  take(ring, entries);
  EXPECT_EQ(entries.size(), 1u);
}

TEST(AuditRing, HasNoRoomWhenNobodyTakes) {
  AuditRing ring;
  std::size_t pushed = 0;
  while (ring.has_room(1)) {
    ring.push(note(std::string(256, 'u')));
    ++pushed;
  }
  EXPECT_GE(pushed, AuditRing::capacity / AuditRing::note_bytes_max);
  ring.publish();
  std::vector<AuditEntry> entries;
  take(ring, entries);
  EXPECT_EQ(entries.size(), pushed);
  EXPECT_TRUE(ring.has_room(AuditRing::capacity / AuditRing::note_bytes_max));
}

TEST(AuditRing, GivesRoomBackOnlyWhenItsReaderIsDone) {
  AuditRing ring;
  while (ring.has_room(1)) ring.push(note("ada"));
  ring.publish();
  std::vector<AuditNote> notes;
  ring.take(notes);
  EXPECT_FALSE(ring.has_room(1));
  EXPECT_EQ(notes.back().user, "ada");
  ring.done();
  EXPECT_TRUE(ring.has_room(1));
}

TEST(AuditRing, LeavesOutADetailThatIsTooLong) {
  AuditRing ring;
  ring.push(note("ada", std::string(2000, 'x')));
  ring.publish();
  std::vector<AuditEntry> entries;
  take(ring, entries);
  ASSERT_EQ(entries.size(), 1u);
  EXPECT_EQ(entries[0].user, "ada");
  EXPECT_EQ(entries[0].detail, "");
}

TEST(AuditRing, KeepsOrderAndContentAcrossThreadsAndItsEnd) {
  AuditRing ring;
  constexpr std::size_t count = 100'000;  // several times round
  std::thread writer([&] {
    for (std::size_t i = 0; i < count; ++i) {
      while (!ring.has_room(1)) std::this_thread::yield();
      ring.push(note("user" + std::to_string(i)));
      ring.publish();
    }
  });
  std::size_t seen = 0, wrong = 0;
  std::vector<AuditEntry> entries;
  while (seen < count) {
    entries.clear();
    take(ring, entries);
    for (const AuditEntry& entry : entries) {
      if (entry.user != "user" + std::to_string(seen++) || entry.action != "verification" || entry.detail != "{}") ++wrong;
    }
  }
  writer.join();
  EXPECT_EQ(wrong, 0u);
}

using AuditNotes = test::EngineTest;

// A store that looks at each group.
class GroupStore : public test::MemoryStore {
 public:
  void advance(std::span<const CellWrite> cells, std::span<const Change* const> changes, std::span<Outcome> cell_outcomes,
               std::span<Outcome> change_outcomes) noexcept override {
    std::size_t entries = 0;
    for (const Change* change : changes) entries += change->audit.size() + change->notes.size();
    groups_seen.emplace_back(cells.size(), entries);
    MemoryStore::advance(cells, changes, cell_outcomes, change_outcomes);
  }
  std::vector<std::pair<std::size_t, std::size_t>> groups_seen;
};

TEST(AuditNotesOfAProducer, AreInTheGroupOfTheirCells) {
  GroupStore store;
  Committer committer(store);
  test::WaitingSink sink;
  Producer& producer = committer.add_producer(&sink);
  constexpr std::size_t rounds = 2000;
  std::vector<Ticket> tickets(rounds);
  for (std::size_t i = 0; i < rounds; ++i) {
    producer.push({{UserNumber{i + 1}, 1}, {i + 1, 0}}, &tickets[i]);
    producer.notes().push(note("user" + std::to_string(i)));
    producer.publish();
    committer.kick();
  }
  sink.wait_for(rounds);
  committer.stop();
  // Never behind: an entry may come a group before its cell, not after it.
  std::size_t cells = 0, entries = 0, all = 0;
  for (const auto& [cells_of_group, entries_of_group] : store.groups_seen) {
    cells += cells_of_group;
    entries += entries_of_group;
    EXPECT_GE(entries, cells);
  }
  all = store.audit({}).rows.size();
  EXPECT_EQ(all, rounds);
}

TEST_F(AuditNotes, OfAGroupThatFailsAreCounted) {
  test::WaitingSink sink;
  Producer& producer = engine.committer.add_producer(&sink);
  store.next_outcome = Outcome::failed;
  Ticket ticket;
  producer.push({{UserNumber{1}, 1}, {1, 0}}, &ticket);
  producer.notes().push(note("ada"));
  producer.publish();
  engine.committer.kick();
  sink.wait_for(1);
  engine.committer.stop();
  EXPECT_EQ(ticket.outcome, Outcome::failed);
  EXPECT_EQ(engine.committer.counters().notes_lost.load(), 1u);
}

}  // namespace
}  // namespace watchword::engine
