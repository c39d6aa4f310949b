// The plain way to wake, as on a host whose kernel lists no userfaultfd. With the double.
#include "tests/jail/sleep_fixture.h"

namespace mvm::jail {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class WakeWhole : public RunningFixture {
 protected:
  WakeWhole() { has_userfaultfd_ = false; }
  void load(std::uint32_t seq) {
    ASSERT_TRUE(to_sealer(wake_task(wire::Op::kHandOver, seq)).ok);
    const auto made = to_jail(wake_task(wire::Op::kMake, seq));
    ASSERT_TRUE(made.ok) << made.error.message();
  }
  [[nodiscard]] std::string limit() const {
    std::ifstream file(anchor_path() + "/memory.max");
    return std::string(std::istreambuf_iterator<char>(file), {});
  }
};

TEST_F(WakeWhole, BringsBackEveryByte) {
  for (std::uint32_t seq = 1; seq <= 3; ++seq) {
    ASSERT_EQ(ask_guest("dirty 100"), "written");
    const auto asleep = falls_asleep(seq);
    ASSERT_TRUE(asleep) << asleep.error().message();
    const auto awake = wakes(seq);
    ASSERT_TRUE(awake) << awake.error().message();
    EXPECT_EQ(looked_at(), all_right()) << "wake " << seq;
  }
}

// Nobody has the key any more, and nothing of the wake has a name, while the guest has yet to run.
TEST_F(WakeWhole, HasNoPageServerAndNoFileWhenItIsLoaded) {
  ASSERT_TRUE(falls_asleep(1));
  load(1);
  EXPECT_EQ(ask_guest("state"), "paused");
  std::ifstream procs(anchor_path() + "/pages/cgroup.procs");
  EXPECT_THAT(std::string(std::istreambuf_iterator<char>(procs), {}), IsEmpty());
  EXPECT_THAT(in_memory(), Not(Contains("memory")));
  EXPECT_THAT(in_memory(), Not(Contains("state")));
  EXPECT_THAT(in_memory(), Not(Contains("uffd.sock")));
  ASSERT_TRUE(to_sealer(wake_task(wire::Op::kSpend, 1)).ok);
  ASSERT_TRUE(to_jail(wake_task(wire::Op::kRelease, 1)).ok);
  EXPECT_EQ(looked_at(), all_right());
}

// Where there is a memory controller: more while its memory is in a file, and what its line says from its end on.
TEST_F(WakeWhole, MayHaveMoreMemoryForAsLongAsItLives) {
  if (content_of(cgroup_ + "/cgroup.controllers").find("memory") == std::string::npos) GTEST_SKIP() << "no memory controller here";
  for (const char* above : {"", "/acme", "/acme/workers"}) std::ofstream(cgroup_ + above + "/cgroup.subtree_control") << "+memory";
  std::ofstream(anchor_path() + "/memory.max") << ((std::uint64_t{kMib} + 128) << 20);
  const std::string before = limit();
  ASSERT_FALSE(before.empty());
  ASSERT_TRUE(falls_asleep(1));
  EXPECT_EQ(limit(), before);
  load(1);
  EXPECT_GE(std::stoull(limit()), std::stoull(before) + (std::uint64_t{kMib} << 20));
  const std::string lent = limit();
  ASSERT_TRUE(to_sealer(wake_task(wire::Op::kSpend, 1)).ok);
  ASSERT_TRUE(to_jail(wake_task(wire::Op::kRelease, 1)).ok);
  ASSERT_EQ(looked_at(), all_right());
  ASSERT_TRUE(to_sealer(snapshot_task(wire::Op::kUnmake, 1)).ok);
  // A dump of it comes on top, and is taken back by itself.
  ASSERT_TRUE(to_jail(move_task(lang::kRunning, lang::kWarm)).ok);
  ASSERT_TRUE(to_jail(snapshot_task(wire::Op::kDump, 2)).ok);
  EXPECT_GT(std::stoull(limit()), std::stoull(lent));
  ASSERT_TRUE(to_jail(snapshot_task(wire::Op::kClear, 2)).ok);
  EXPECT_EQ(limit(), lent);
  ASSERT_TRUE(to_jail(jail_task(wire::Op::kUnmake)).ok);
  EXPECT_EQ(limit(), before);
}

// A wake that fails is not tried in another way: here one of the sealed file's last chunks is not what it was, so the page server was
// ready, and no VMM has been started yet.
TEST_F(WakeWhole, FailsWhereThePageServerDoesAndTheSnapshotStays) {
  ASSERT_TRUE(falls_asleep(1));
  ASSERT_TRUE(to_sealer(wake_task(wire::Op::kHandOver, 1)).ok);
  const auto at = static_cast<std::streamoff>(fs::file_size(snapshot_path()) * 3 / 4);
  std::fstream file(snapshot_path(), std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(at);
  const char was = static_cast<char>(file.get());
  file.seekp(at);
  file.put(static_cast<char>(was ^ 1)).flush();
  const auto made = to_jail(wake_task(wire::Op::kMake, 1));
  EXPECT_FALSE(made.ok);
  EXPECT_THAT(made.error.message(), HasSubstr("wait for the page server, which has ended"));
  EXPECT_THAT(members(), IsEmpty());
  EXPECT_FALSE(fs::exists(memory_path()));
  file.seekp(at);
  file.put(was).flush();
  const auto awake = wakes(1);
  ASSERT_TRUE(awake) << awake.error().message();
  EXPECT_EQ(looked_at(), all_right());
}

}  // namespace
}  // namespace mvm::jail
