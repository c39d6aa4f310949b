// The balloon of a doubled microVM, blown up before it sleeps and let out after it woke, and every byte looked at.
#include "tests/jail/sleep_fixture.h"

namespace mvm::jail {
namespace {

class BalloonFixture : public SleepFixture {
 protected:
  void SetUp() override {
    if (real()) GTEST_SKIP() << "asks the doubled guest";
    SleepFixture::SetUp();
  }
  void make(const std::string& mischief = {}) {
    if (!mischief.empty()) misbehave(mischief);
    const auto made = to_jail(jail_task(wire::Op::kMake));
    ASSERT_TRUE(made.ok) << made.error.message();
  }
  bool inflates() {
    wire::Task made = task(wire::Op::kInflate, lang::Word::kGuest);
    made.statement.numbers = {lang::kAwake, lang::kParked};
    made.asleep.mem = kMib;
    return to_jail(made).ok;
  }
  wire::Answer deflated() {
    wire::Task made = task(wire::Op::kDeflate, lang::Word::kGuest);
    made.statement.numbers = {lang::kParked, lang::kAwake};
    return to_jail(made);
  }
  void sleep_and_wake(std::uint32_t seq) {
    const auto asleep = falls_asleep(seq);
    ASSERT_TRUE(asleep) << asleep.error().message();
    size_ = fs::file_size(snapshot_path());
    const auto awake = wakes(seq);
    ASSERT_TRUE(awake) << awake.error().message();
  }
  std::uintmax_t size_ = 0;  // of the last snapshot
};

class Balloon : public BalloonFixture, public testing::WithParamInterface<bool> {
 protected:
  void SetUp() override {
    has_userfaultfd_ = GetParam();
    BalloonFixture::SetUp();
  }
};

TEST_P(Balloon, MakesASnapshotSmallerAndEveryByteThatTheGuestKeptIsThere) {
  make();
  ASSERT_EQ(ask_guest("dirty 100"), "written");
  sleep_and_wake(1);
  const auto whole = size_;
  ASSERT_EQ(looked_at(), all_right());
  EXPECT_EQ(ask_guest("balloon"), "asked=0 given=0");
  for (std::uint32_t seq = 2; seq <= 3; ++seq) {
    ASSERT_TRUE(inflates());
    EXPECT_EQ(ask_guest("balloon"), "asked=31 given=31") << "48 MiB less 100 pages, less 16";
    sleep_and_wake(seq);
    EXPECT_LT(size_, whole / 10 * 6);
    EXPECT_EQ(ask_guest("balloon"), "asked=31 given=31") << "until it is let out";
    ASSERT_TRUE(deflated().ok);
    EXPECT_EQ(ask_guest("balloon"), "asked=0 given=0");
    ASSERT_TRUE(deflated().ok) << "once more";
    EXPECT_EQ(looked_at(), all_right());
  }
}

// While its page server still puts its memory in, which has to hear of it.
TEST_P(Balloon, IsBlownUpOnceMoreInTheMiddleOfAWake) {
  make();
  sleep_and_wake(1);
  ASSERT_TRUE(inflates());
  EXPECT_EQ(ask_guest("balloon"), "asked=32 given=32");
  EXPECT_EQ(looked_at(), all_right());
  ASSERT_TRUE(deflated().ok);
}

INSTANTIATE_TEST_SUITE_P(Ways, Balloon, testing::Bool(), [](const auto& way) { return way.param ? "PageByPage" : "Whole"; });

using BalloonOf = BalloonFixture;

TEST_F(BalloonOf, AGuestThatLiesIsAskedForNoMoreThanItsMemoryLessWhatItKeeps) {
  make("balloon-lies");
  ASSERT_TRUE(inflates());
  EXPECT_TRUE(ask_guest("balloon").starts_with("asked=48 ")) << ask_guest("balloon");
}

TEST_F(BalloonOf, AGuestThatGivesNoMoreIsLeftAsItIs) {
  make("balloon-stops");
  ASSERT_TRUE(inflates());
  EXPECT_EQ(ask_guest("balloon"), "asked=32 given=4");
  ASSERT_TRUE(deflated().ok);
  EXPECT_EQ(ask_guest("balloon"), "asked=0 given=0");
}

// No driver; no balloon, as in a snapshot of before there were any; a VMM that says nothing: the guest has parked all the same.
TEST_F(BalloonOf, AGuestThatHasNoneIsNoneTheLess) {
  for (const char* mischief : {"balloon-absent", "refuse GET /balloon/statistics", "hang-on GET /balloon/statistics", "bad-http GET /balloon/statistics", "refuse PATCH /balloon"}) {
    make(mischief);
    EXPECT_TRUE(inflates()) << mischief;
    EXPECT_EQ(ask_guest("balloon"), "asked=0 given=0") << mischief;
    const auto let_out = deflated();
    EXPECT_TRUE(let_out.ok) << mischief << ": " << let_out.error.message();
    ASSERT_TRUE(to_jail(jail_task(wire::Op::kUnmake)).ok);
  }
}

// That it may still be blown up must not be passed over: the guest would go on without its memory.
TEST_F(BalloonOf, AVmmThatSaysNothingIsNotTakenAsLetOut) {
  make("bad-http PATCH /balloon");
  EXPECT_FALSE(deflated().ok);
  ASSERT_TRUE(to_jail(jail_task(wire::Op::kUnmake)).ok);
  EXPECT_EQ(deflated().error.code, Errc::kNotFound);
}

}  // namespace
}  // namespace mvm::jail
