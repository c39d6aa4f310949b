// What hostd does not start on.
#include "tests/supervisor/hostd_process.h"

namespace mvm::test {
namespace {

TEST(RefusalToStart, OnWhatOthersMayWrite) {
  HostdProcess hostd;
  chmod((hostd.prefix() + "/node.policy").c_str(), 0666);
  EXPECT_FALSE(hostd.start());
  EXPECT_NE(hostd.errors().find("root alone may write"), std::string::npos) << hostd.errors();
  chmod((hostd.prefix() + "/node.policy").c_str(), 0644);
  std::filesystem::create_directory(hostd.prefix() + "/state");
  ASSERT_EQ(chown((hostd.prefix() + "/state").c_str(), 65534, 65534), 0);
  EXPECT_FALSE(hostd.start());
  EXPECT_NE(hostd.errors().find("someone else's"), std::string::npos) << hostd.errors();
}

TEST(RefusalToStart, WithoutAPolicyThatHolds) {
  HostdProcess hostd;
  hostd.put(hostd.prefix() + "/node.policy", "mvm-policy 1\nnode node-7\nend\n");
  EXPECT_FALSE(hostd.start());
  EXPECT_TRUE(WIFEXITED(hostd.status));
  EXPECT_NE(hostd.errors().find("policy"), std::string::npos) << hostd.errors();
  hostd.put(hostd.prefix() + "/node.policy", "# written by hand\n\n" + policy_text());
  EXPECT_TRUE(hostd.start()) << "comments are people's: " << hostd.errors();
}

TEST(RefusalToStart, BesideAnotherHostdOfTheSameState) {
  HostdProcess hostd;
  ASSERT_TRUE(hostd.start());
  const std::string command = std::string(MVM_HOSTD) + " " + hostd.prefix() + " " + MVM_GATE + " " + MVM_FAKE_WORKER + " daemon root boot-1 2>/dev/null";
  const int status = std::system(command.c_str());
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 70);
  EXPECT_EQ(hostd.state(), empty_state()) << "the first still serves";
}

}  // namespace
}  // namespace mvm::test
