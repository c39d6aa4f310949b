// What has to be told to, or asked of, the doubled Firecracker: its guest, and a VMM that hangs, dies, refuses or says nonsense.
#include <poll.h>
#include <sys/syscall.h>

#include "tests/jail/jail_fixture.h"

namespace mvm::jail {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

class DoubledJailKernel : public JailFixture {
 protected:
  void SetUp() override {
    if (real()) GTEST_SKIP() << "the real Firecracker cannot be told to misbehave, nor its guest be asked";
    JailFixture::SetUp();
  }
};

TEST_F(DoubledJailKernel, TakesAVmmThatDoesNotAnswerForDead) {
  anchor();
  misbehave("hang-on GET /");
  ASSERT_TRUE(make().ok);
  const auto hung = found(lang::Word::kJail);
  ASSERT_TRUE(hung);
  EXPECT_FALSE(hung->alive);
  EXPECT_TRUE(unmake().ok);
  EXPECT_THAT(members(), IsEmpty());
}

TEST_F(DoubledJailKernel, GivesTheGuestItsAddressAndItsTap) {
  anchor();
  ASSERT_TRUE(make().ok);
  EXPECT_EQ(ask_guest("address"), "10.240.3.5");
  EXPECT_THAT(ask_guest("ping 10.240.3.1"), StartsWith("reply "));
  EXPECT_EQ(ask_guest("ping 10.240.3.77"), "timeout (no arp reply)");
  ASSERT_TRUE(move(lang::kRunning, lang::kWarm).ok);
  EXPECT_EQ(ask_guest("ping 10.240.3.1"), "paused");
}

TEST_F(DoubledJailKernel, UndoesAMakeThatTheVmmRefuses) {
  anchor();
  misbehave("refuse PUT /vsock");
  const auto made = make();
  ASSERT_FALSE(made.ok);
  EXPECT_EQ(made.error.code, Errc::kDenied);
  EXPECT_EQ(made.error.tried, "PUT /vsock: status 400");
  EXPECT_EQ(made.error.on.find('\x1b'), std::string::npos);  // what a VMM says is quoted
  EXPECT_THAT(members(), IsEmpty());
  EXPECT_FALSE(fs::exists(state_ + "/jails"));
}

TEST_F(DoubledJailKernel, UndoesAMakeThatHangs) {
  anchor();
  misbehave("hang-on PUT /mmds");
  const auto begun = std::chrono::steady_clock::now();
  const auto made = make();
  ASSERT_FALSE(made.ok);
  EXPECT_EQ(made.error.code, Errc::kTimeout);
  EXPECT_THAT(made.error.tried, StartsWith("PUT /mmds"));
  EXPECT_LT(std::chrono::steady_clock::now() - begun, kCallTime + std::chrono::seconds(2));
  EXPECT_THAT(members(), IsEmpty());
  EXPECT_FALSE(fs::exists(state_ + "/jails"));
}

TEST_F(DoubledJailKernel, UndoesAMakeThatIsAnsweredWithNonsense) {
  anchor();
  misbehave("bad-http PUT /entropy");
  auto made = make();
  EXPECT_EQ(made.error.code, Errc::kMalformed) << made.error.message();
  misbehave("flood PUT /actions");
  made = make();
  EXPECT_EQ(made.error.code, Errc::kLimit) << made.error.message();
  EXPECT_THAT(members(), IsEmpty());
  EXPECT_FALSE(fs::exists(state_ + "/jails"));
}

TEST_F(DoubledJailKernel, SaysWhatAVmmThatDiesAtStartPrinted) {
  anchor();
  misbehave("die-at-start");
  const auto made = make();
  ASSERT_FALSE(made.ok);
  EXPECT_EQ(made.error.code, Errc::kClosed);
  EXPECT_EQ(made.error.on, "Error: told to die at start");
}

TEST_F(DoubledJailKernel, RefusesAnOldFirecracker) {
  anchor();
  misbehave("version 1.9.1");
  const auto made = make();
  ASSERT_FALSE(made.ok);
  EXPECT_EQ(made.error.code, Errc::kUnsupported);
  EXPECT_EQ(made.error.on, "1.9.1");
}

TEST_F(DoubledJailKernel, SeesAMicrovmThatDiesRightAfterItsStart) {
  anchor();
  misbehave("die-after-start");
  const auto made = make();
  if (made.ok) {
    pollfd ended{executor_->watch().fd(), POLLIN, 0};
    EXPECT_EQ(poll(&ended, 1, 5000), 1);
  } else {
    EXPECT_FALSE(fs::exists(state_ + "/jails"));
  }
}

// A VMM that is broken into may put another socket, or another process's, where its own was, before the jail is closed.
TEST_F(DoubledJailKernel, TalksToNobodyButTheJailsOwnProcess) {
  anchor();
  ASSERT_TRUE(make().ok);
  const std::string path = root_path() + "/run/firecracker.socket";
  fs::rename(path, path + ".was");
  fs::create_symlink(path + ".was", path);
  EXPECT_EQ(move(lang::kRunning, lang::kWarm).error.code, Errc::kDenied);
  fs::remove(path);
  std::ofstream(path) << "a file";
  EXPECT_EQ(move(lang::kRunning, lang::kWarm).error.code, Errc::kDenied);
  fs::remove(path);
  const Fd ours(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strcpy(address.sun_path, path.c_str());
  // Ours, but not root's: the uid is the jail's, and still it is not in the cgroup.
  ASSERT_EQ(bind(ours.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0) << strerror(errno);
  ASSERT_EQ(listen(ours.get(), 4), 0);
  auto denied = move(lang::kRunning, lang::kWarm);
  EXPECT_EQ(denied.error.code, Errc::kDenied);
  EXPECT_THAT(denied.error.tried, HasSubstr("another uid"));
  ASSERT_EQ(syscall(SYS_setresuid, -1, kUid, -1), 0);  // this thread alone, for the moment of listen(2)
  ASSERT_EQ(listen(ours.get(), 4), 0);
  ASSERT_EQ(syscall(SYS_setresuid, -1, 0, -1), 0);
  denied = move(lang::kRunning, lang::kWarm);
  EXPECT_EQ(denied.error.code, Errc::kDenied);
  EXPECT_THAT(denied.error.tried, HasSubstr("not in the instance's cgroup"));
  fs::remove(path);
}

}  // namespace
}  // namespace mvm::jail
