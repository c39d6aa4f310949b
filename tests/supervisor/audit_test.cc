#include "broker/supervisor/audit.h"

#include <gtest/gtest.h>

#include "broker/supervisor/files.h"
#include "tests/supervisor/directory.h"

namespace mvm::supervisor {
namespace {

std::string log_of(const test::Directory& directory) { return read_file(directory.open(), "log", 1 << 20).value(); }

void append(const test::Directory& directory, std::string_view what) {
  auto audit = Audit::open(directory.open());
  ASSERT_TRUE(audit) << audit.error().message();
  ASSERT_TRUE(audit->append(what));
  ASSERT_TRUE(audit->sync());
}

TEST(Audit, GoesOnWhereItEnded) {
  const test::Directory directory;
  append(directory, "one");
  append(directory, "two");
  const auto verified = verify_audit(log_of(directory), read_file(directory.open(), "head", kAuditHeadBytes).value());
  ASSERT_TRUE(verified) << verified.error().why;
  EXPECT_EQ(verified->head.lines, 2u);
}

TEST(Audit, CutsOffALineThatACrashHasTornAndKeepsThoseThatTheHeadDoesNotKnow) {
  const test::Directory directory;
  append(directory, "one");
  {
    auto audit = Audit::open(directory.open());
    ASSERT_TRUE(audit->append("two"));  // and no sync
  }
  const auto log = open_file(directory.open(), "log", O_WRONLY | O_APPEND);
  ASSERT_TRUE(write_all(*log, "3 2026-01-01T00:0", "log"));
  append(directory, "three");
  const auto verified = verify_audit(log_of(directory), read_file(directory.open(), "head", kAuditHeadBytes).value());
  ASSERT_TRUE(verified) << verified.error().why;
  EXPECT_EQ(verified->head.lines, 3u);
  EXPECT_EQ(log_of(directory).find("3 2026-01-01T00:0"), std::string::npos);
}

TEST(Audit, RefusesToGoOnWithALogThatWasCutOrChanged) {
  const test::Directory directory;
  append(directory, "one");
  append(directory, "two");
  const std::string whole = log_of(directory);
  ASSERT_TRUE(write_file(directory.open(), "log", whole.substr(0, whole.find('\n') + 1), Keep::kOverCrash));
  EXPECT_EQ(Audit::open(directory.open()).error().code, Errc::kCorrupt);
  ASSERT_TRUE(write_file(directory.open(), "log", whole + "3 2026 forged chain=" + std::string(64, '0') + "\n", Keep::kOverCrash));
  EXPECT_EQ(Audit::open(directory.open()).error().code, Errc::kCorrupt);
  ASSERT_TRUE(write_file(directory.open(), "log", whole, Keep::kOverCrash));
  EXPECT_TRUE(Audit::open(directory.open()));
}

TEST(Audit, SaysTheTimeAsRfc3339DoesInUtc) {
  EXPECT_EQ(utc_time(0), "1970-01-01T00:00:00Z");
  EXPECT_EQ(utc_time(951'827'696), "2000-02-29T12:34:56Z");
  EXPECT_EQ(utc_time(1'798'761'599), "2026-12-31T23:59:59Z");
}

}  // namespace
}  // namespace mvm::supervisor
