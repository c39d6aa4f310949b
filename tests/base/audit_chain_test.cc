#include "base/audit_chain.h"

#include <gtest/gtest.h>

namespace mvm {
namespace {

struct Log {
  std::vector<std::string> lines;
  AuditHead head;
  [[nodiscard]] std::string text() const {
    std::string all;
    for (const std::string& line : lines) all += line;
    return all;
  }
};

Log log_of(int lines) {
  Log log;
  for (int i = 0; i < lines; ++i) {
    const AuditLine line = next_audit_line(log.head, "2026-01-01T00:00:00Z", "event " + std::to_string(i));
    log.lines.push_back(line.text);
    log.head = line.head;
  }
  return log;
}

std::uint64_t faulty_line(const std::string& text, const AuditHead& head) {
  const auto verdict = verify_audit(text, print_audit_head(head));
  EXPECT_FALSE(verdict);
  return verdict ? 0 : verdict.error().line;
}

TEST(AuditChain, VerifiesWhatItMade) {
  for (const int lines : {0, 1, 2, 100}) {
    const Log log = log_of(lines);
    const auto verdict = verify_audit(log.text(), print_audit_head(log.head));
    ASSERT_TRUE(verdict) << verdict.error().why;
    EXPECT_EQ(verdict->head, log.head);
    EXPECT_EQ(log.head.bytes, log.text().size());
  }
}

TEST(AuditChain, NamesTheLineThatWasChangedAtAnyOfItsBytes) {
  const Log log = log_of(5);
  const std::size_t start = log.lines[0].size() + log.lines[1].size();
  for (std::size_t i = 0; i + 1 < log.lines[2].size(); ++i) {
    std::string text = log.text();
    text[start + i] = text[start + i] == 'x' ? 'y' : 'x';
    EXPECT_EQ(faulty_line(text, log.head), 3u) << i;
  }
}

TEST(AuditChain, NamesTheLineThatWasCutOutPutInOrMoved) {
  const Log log = log_of(5);
  Log cut = log, moved = log, doubled = log, foreign = log;
  cut.lines.erase(cut.lines.begin() + 2);
  EXPECT_EQ(faulty_line(cut.text(), log.head), 3u);
  std::swap(moved.lines[1], moved.lines[2]);
  EXPECT_EQ(faulty_line(moved.text(), log.head), 2u);
  doubled.lines.insert(doubled.lines.begin() + 3, doubled.lines[2]);
  EXPECT_EQ(faulty_line(doubled.text(), log.head), 4u);
  foreign.lines[3] = next_audit_line(log_of(3).head, "2026-01-01T00:00:00Z", "Event 3").text;
  EXPECT_EQ(faulty_line(foreign.text(), log.head), 5u) << "line 4 follows from line 3; line 5 does not follow from it";
}

TEST(AuditChain, FindsTheEndCutOffByWhatTheHeadKnows) {
  const Log log = log_of(5);
  std::string text = log.text();
  text.resize(text.size() - log.lines[4].size());
  EXPECT_EQ(faulty_line(text, log.head), 5u);
  EXPECT_EQ(faulty_line("", log.head), 1u);
  EXPECT_EQ(faulty_line(log.text().substr(0, log.head.bytes - 1), log.head), 5u) << "the last line feed";
}

TEST(AuditChain, FindsTheWholeLogWrittenAnewWithoutItsHead) {
  Log other;
  for (int i = 0; i < 5; ++i) {
    const AuditLine line = next_audit_line(other.head, "2026-01-01T00:00:00Z", "Event " + std::to_string(i));
    other.lines.push_back(line.text);
    other.head = line.head;
  }
  EXPECT_FALSE(verify_audit(other.text(), print_audit_head(log_of(5).head)));
}

TEST(AuditChain, ToleratesWhatACrashLeaves) {
  const Log log = log_of(5);
  // Lines that the head does not know yet, and a part of one more.
  const auto behind = verify_audit(log.text(), print_audit_head(log_of(3).head));
  ASSERT_TRUE(behind);
  EXPECT_EQ(behind->head, log.head);
  const auto torn = verify_audit(log.text() + "6 2026", print_audit_head(log.head));
  ASSERT_TRUE(torn);
  EXPECT_EQ(torn->torn_bytes, 6u);
}

TEST(AuditChain, RefusesAHeadThatWasChangedOrIsNone) {
  const Log log = log_of(2);
  for (std::size_t i = 0; i < kAuditHeadBytes; ++i) {
    std::string head = print_audit_head(log.head);
    head[i] = static_cast<char>(head[i] ^ 1);
    EXPECT_FALSE(read_audit_head(head)) << i;
  }
  EXPECT_FALSE(read_audit_head(""));
  EXPECT_FALSE(read_audit_head(print_audit_head(log.head) + "x"));
  EXPECT_FALSE(verify_audit(log.text(), "x"));
}

TEST(AuditChain, KeepsALineToOneLineOfBoundedLength) {
  const AuditLine line = next_audit_line({}, "2026-01-01T00:00:00Z", "a\nb\x1b[2J" + std::string(10'000, 'x'));
  EXPECT_EQ(line.text.size(), kMaxAuditLine + 1);
  EXPECT_EQ(std::count(line.text.begin(), line.text.end(), '\n'), 1);
  EXPECT_EQ(line.text.find('\x1b'), std::string::npos);
  EXPECT_TRUE(verify_audit(line.text, print_audit_head(line.head)));
}

}  // namespace
}  // namespace mvm
