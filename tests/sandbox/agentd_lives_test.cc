// What seldom happens, in agentd's sandbox: it must say so and go on, for a filter that does not know a rare path ends it.
// Needs root.
#include <sched.h>
#include <sys/mount.h>

#include <csignal>

#include "tests/sandbox/agentd_process.h"

namespace mvm::test {
namespace {

class AgentdLives : public ::testing::Test {
 protected:
  void start() { agentd_.start(policy_of("agentd")); }
  // After all that, it still does what it is for.
  void TearDown() override {
    agentd_.put_policy(policy_text());
    std::filesystem::remove(agentd_.desired() + "/p.projection");
    {
      const auto hostd = agentd_.play_hostd({});
      EXPECT_TRUE(agentd_.comes_to([&] { return agentd_.status().find("\"idle\"") != std::string::npos; }))
          << (agentd_.lives() ? agentd_.status() : "it has ended");
    }
    agentd_.kill();
    umount2(agentd_.run().c_str(), MNT_DETACH);  // where a test has mounted something
  }
  [[nodiscard]] bool says(const std::string& text) const { return agentd_.says(text); }

  AgentdProcess agentd_;
};

TEST_F(AgentdLives, InASandboxOfItsOwn) {
  start();
  ASSERT_TRUE(says("connect to hostd"));
  const std::string status = agentd_.process_status();
  for (const char* line : {"Name:\tmvm-agentd\n", "NoNewPrivs:\t1\n", "Seccomp:\t2\n", "CapPrm:\t0000000000000000\n", "CapEff:\t0000000000000000\n",
                           "CapBnd:\t0000000000000000\n", "Threads:\t1\n"}) {
    EXPECT_NE(status.find(line), std::string::npos) << line << status;
  }
}

TEST_F(AgentdLives, WithAPolicyThatIsNoneOrGoneOrReplaced) {
  start();
  ASSERT_TRUE(says("connect to hostd"));
  agentd_.put_policy("no policy\n");
  EXPECT_TRUE(says("parse the policy"));
  agentd_.put_policy(std::string((1 << 20) + 1, 'x'));
  EXPECT_TRUE(says("more than"));
  std::filesystem::remove(agentd_.policy_file());
  EXPECT_TRUE(says("No such file"));
}

TEST_F(AgentdLives, WithProjectionsThatAreNone) {
  const std::string name = agentd_.desired() + "/";
  AgentdProcess::put(name + "long.projection", std::string((1 << 20) + 1, 'x'));
  AgentdProcess::put(name + "unsigned.projection", "x");
  AgentdProcess::put(name + "short.projection", "x");
  AgentdProcess::put(name + "short.projection.sig", "x");
  std::filesystem::create_directory(name + "directory.projection");
  std::filesystem::create_symlink("/etc/passwd", name + "link.projection");
  ASSERT_EQ(mkfifo((name + "pipe.projection").c_str(), 0644), 0);
  AgentdProcess::put(name + "secret.projection", "x");
  ASSERT_EQ(chmod((name + "secret.projection").c_str(), 0), 0);
  agentd_.want("signed, and no projection\n");
  start();
  for (const char* unfit : {"long", "unsigned", "short", "directory", "link", "pipe", "secret", "p"}) {
    EXPECT_TRUE(says("\"file\": \"" + std::string(unfit) + ".projection\"")) << unfit << agentd_.status();
  }
}

TEST_F(AgentdLives, WithMoreProjectionsThanItLooksAt) {
  for (int i = 0; i < 65; ++i) AgentdProcess::put(agentd_.desired() + "/" + std::to_string(i) + ".projection", "x");
  start();
  EXPECT_TRUE(says("too many projections"));
  for (int i = 1; i < 65; ++i) std::filesystem::remove(agentd_.desired() + "/" + std::to_string(i) + ".projection");
}

TEST_F(AgentdLives, WhereTheStatusFileHasNoRoomAndWritesItOnceItHas) {
  ASSERT_EQ(mount("none", agentd_.run().c_str(), "tmpfs", 0, "size=16k,mode=0777"), 0);
  const std::string filler = agentd_.run() + "/filler";
  std::ofstream(filler) << std::string(1 << 16, 'x');
  start();
  EXPECT_TRUE(agentd_.comes_to([&] { return std::filesystem::exists(agentd_.status_file() + ".new"); }));
  EXPECT_EQ(agentd_.status(), "");
  std::filesystem::remove(filler);
  EXPECT_TRUE(says("connect to hostd"));
}

TEST_F(AgentdLives, WhenHostdHangsUpOrSaysWhatIsNoAnswer) {
  agentd_.want(a_projection(4));
  start();
  {
    const auto hostd = agentd_.play_hostd({wire::Accepted{}});
    EXPECT_TRUE(says("read from hostd")) << agentd_.status();
  }
  {
    const auto hostd = agentd_.play_hostd({wire::Busy{}});
    EXPECT_TRUE(says("runs another plan"));
  }
  EXPECT_TRUE(says("connect to hostd"));
}

TEST_F(AgentdLives, ThroughAllThatItIsToldOfAPlan) {
  agentd_.want(a_projection(4));
  start();
  std::vector<wire::Event> events = {wire::Accepted{}};
  for (const auto phase : {wire::Phase::kStarted, wire::Phase::kDone, wire::Phase::kUndone, wire::Phase::kSkipped, wire::Phase::kFailed}) {
    wire::Progress progress;
    progress.phase = phase;
    progress.line = std::string(200, 'x');
    events.emplace_back(progress);
  }
  events.emplace_back(wire::Finished{Digest{}, 4, 1, 1, 1, Digest{}, 4});
  const auto hostd = agentd_.play_hostd(events);
  EXPECT_TRUE(says("1 statements failed"));
}

// What the node configures libcrypto to be is loaded before the sandbox closes; inside, it could not be read, and would not hold.
TEST(AgentdStarts, NotWhereItsLibcryptoCannotVerify) {
  const std::string configuration = "/etc/ssl/openssl.cnf";
  if (!std::filesystem::exists(configuration)) GTEST_SKIP() << "there is no " << configuration;
  AgentdProcess agentd;
  const std::string strict = agentd.desired() + "/strict";
  AgentdProcess::put(strict, "openssl_conf = init\n[init]\nalg_section = algorithms\n[algorithms]\ndefault_properties = fips=yes\n");
  ASSERT_EQ(unshare(CLONE_NEWNS), 0);
  ASSERT_EQ(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
  ASSERT_EQ(mount(strict.c_str(), configuration.c_str(), nullptr, MS_BIND, nullptr), 0);
  agentd.start(policy_of("agentd"));
  EXPECT_EQ(agentd.ended(), 1);
  umount2(configuration.c_str(), MNT_DETACH);
}

}  // namespace
}  // namespace mvm::test
