// mvm-pages as a whole, in its sandbox: one wake, and how it ends when something is not as it has to be.
#include <gtest/gtest.h>

#include "broker/pages/serve.h"
#include "seccomp/pages.grants.h"
#include "tests/pages/process.h"

namespace mvm {
namespace {

using pages::Said;
using test::Sleeping;

class PageServer : public testing::Test {
 protected:
  void SetUp() override {
    if (!test::new_userfaultfd().valid()) GTEST_SKIP() << "no userfaultfd for us here";
  }
  sandbox::Worker start(const Sleeping& snapshot) {
    static const test::Runnable executable(MVM_PAGES);
    const auto extra = snapshot.descriptors(listener_.fd());
    return test::started({.executable = executable.fd(), .grants = grants::kPages, .user = {test::kNobodyElse, test::kNobodyElse}, .extra = extra});
  }
  static void order(const sandbox::Worker& worker, const Sleeping& snapshot, std::uint32_t patience = 10'000, std::uint32_t peer = test::kVmmUid) {
    ASSERT_TRUE(pages::send_order(worker.channel.get(), snapshot.order(peer, patience), snapshot.keys()));
  }
  static Said said(const sandbox::Worker& worker) {
    const auto report = test::next_report(worker);
    return report ? report->said : Said{};
  }
  test::Listener listener_;
};

TEST_F(PageServer, ServesOneMicroVmAndEnds) {
  const Sleeping snapshot(128, {3, 90});
  const auto worker = start(snapshot);
  order(worker, snapshot);
  ASSERT_EQ(said(worker), Said::kReady);
  const pid_t vmm = test::start_vmm(listener_, snapshot, 1);
  EXPECT_EQ(said(worker), Said::kFirst);
  const auto last = test::next_report(worker);
  ASSERT_TRUE(last);
  EXPECT_EQ(last->said, Said::kWhole);
  EXPECT_EQ(test::ended(worker), 0);
  EXPECT_EQ(test::ended_as(vmm), test::kSawAllRight);
}

TEST_F(PageServer, ServesADiffOverItsBase) {
  const Sleeping snapshot = Sleeping::on_a_base(128);
  const auto worker = start(snapshot);
  order(worker, snapshot);
  ASSERT_EQ(said(worker), Said::kReady);
  const pid_t vmm = test::start_vmm(listener_, snapshot, 1);
  EXPECT_EQ(test::ended(worker), 0);
  EXPECT_EQ(test::ended_as(vmm), test::kSawAllRight);
}

// The plain way: a file in the listener's place.
TEST_F(PageServer, WritesAllOfTheMemoryIntoAFileAndEnds) {
  for (const Sleeping& snapshot : {Sleeping(128), Sleeping::on_a_base(128)}) {
    static const test::Runnable executable(MVM_PAGES);
    const Fd memory(memfd_create("memory", MFD_CLOEXEC));
    const auto extra = snapshot.descriptors(memory.get());
    const auto worker = test::started({.executable = executable.fd(), .grants = grants::kPages, .user = {test::kNobodyElse, test::kNobodyElse}, .extra = extra});
    order(worker, snapshot);
    ASSERT_EQ(said(worker), Said::kReady);
    EXPECT_EQ(said(worker), Said::kWhole);
    EXPECT_EQ(test::ended(worker), 0);
    EXPECT_EQ(test::bytes_of(memory.get()), snapshot.image);
  }
}

TEST_F(PageServer, ServesNoDiffWithoutItsBaseOrOverAnother) {
  const Sleeping snapshot = Sleeping::on_a_base(4);
  const auto without = start(snapshot);
  auto told = snapshot.order(test::kVmmUid, 1000);
  told.base = {};
  ASSERT_TRUE(pages::send_order(without.channel.get(), told, snapshot.keys()));
  EXPECT_EQ(test::ended(without), 70);
  const auto another = start(snapshot);
  told.base = snapshot.digest;
  ASSERT_TRUE(pages::send_order(another.channel.get(), told, snapshot.keys()));
  EXPECT_EQ(test::ended(another), 70);
}

TEST_F(PageServer, GivesZerosForWhatABalloonTook) {
  const Sleeping snapshot(128);
  const auto worker = start(snapshot);
  order(worker, snapshot);
  ASSERT_EQ(said(worker), Said::kReady);
  const pid_t vmm = test::start_vmm(listener_, snapshot, 2, 127);
  EXPECT_EQ(test::ended_as(vmm), test::kSawAllRight);
  EXPECT_EQ(test::ended(worker), 0);
}

TEST_F(PageServer, OutlivesWhoStartedItsChannel) {
  const Sleeping snapshot(64);
  auto worker = start(snapshot);
  order(worker, snapshot);
  ASSERT_EQ(said(worker), Said::kReady);
  worker.channel.reset();
  const pid_t vmm = test::start_vmm(listener_, snapshot, 3);
  EXPECT_EQ(test::ended_as(vmm), test::kSawAllRight);
  EXPECT_EQ(test::ended(worker), 0);
}

TEST_F(PageServer, EndsWellWhereItsMicroVmGoes) {
  const Sleeping snapshot(512);
  const auto worker = start(snapshot);
  order(worker, snapshot);
  ASSERT_EQ(said(worker), Said::kReady);
  const pid_t vmm = test::start_vmm(listener_, snapshot, 4);
  ASSERT_EQ(said(worker), Said::kFirst);
  kill(vmm, SIGKILL);
  EXPECT_EQ(test::ended_as(vmm), -SIGKILL);
  const Said end = said(worker);
  EXPECT_TRUE(end == Said::kGone || end == Said::kWhole);
  EXPECT_EQ(test::ended(worker), 0);
}

TEST_F(PageServer, WaitsNoLongerThanItWasTold) {
  const Sleeping snapshot(4);
  const auto worker = start(snapshot);
  order(worker, snapshot, 50);
  ASSERT_EQ(said(worker), Said::kReady);
  EXPECT_EQ(test::ended(worker), 70);
  const auto another = start(snapshot);
  order(another, snapshot, 50, 0);
  ASSERT_EQ(said(another), Said::kReady);
  const Fd silent(listener_.connected());
  EXPECT_EQ(test::ended(another), 70);
}

TEST_F(PageServer, TakesNoHandOverOfAnotherUser) {
  const Sleeping snapshot(4);
  const auto worker = start(snapshot);
  order(worker, snapshot, 10'000, test::kVmmUid + 1);
  ASSERT_EQ(said(worker), Said::kReady);
  const pid_t vmm = test::start_vmm(listener_, snapshot, 1);
  EXPECT_EQ(test::ended(worker), 70);
  kill(vmm, SIGKILL);
  test::ended_as(vmm);
}

TEST_F(PageServer, ServesNoFileButTheOneThatWasMeant) {
  const Sleeping snapshot(4), older(4);
  const auto worker = start(older);
  ASSERT_TRUE(pages::send_order(worker.channel.get(), snapshot.order(test::kVmmUid, 1000), older.keys()));
  EXPECT_FALSE(test::next_report(worker));
  EXPECT_EQ(test::ended(worker), 70);
}

TEST_F(PageServer, ServesNothingWithAnotherKey) {
  const Sleeping snapshot(4), other(4);
  const auto worker = start(snapshot);
  ASSERT_TRUE(pages::send_order(worker.channel.get(), snapshot.order(test::kVmmUid, 1000), other.keys()));
  EXPECT_FALSE(test::next_report(worker));
  EXPECT_EQ(test::ended(worker), 70);
}

TEST_F(PageServer, EndsWhereItIsToldWhatIsNoOrder) {
  const Sleeping snapshot(4);
  const auto worker = start(snapshot);
  ASSERT_EQ(send(worker.channel.get(), "no order", 8, MSG_NOSIGNAL), 8);
  EXPECT_EQ(test::ended(worker), 70);
}

// Killed while it serves: its microVM neither goes on nor sees a wrong byte; it waits, and whoever holds the page server's pidfd ends it.
TEST_F(PageServer, KilledLeavesAMicroVmThatWaitsAndSeesNothingWrong) {
  const Sleeping snapshot(1024);
  const auto worker = start(snapshot);
  order(worker, snapshot);
  ASSERT_EQ(said(worker), Said::kReady);
  const pid_t vmm = test::start_vmm(listener_, snapshot, 5);
  ASSERT_EQ(said(worker), Said::kFirst);
  EXPECT_EQ(test::kill_and_wait(worker), -SIGKILL);
  usleep(200'000);
  int status = 0;
  EXPECT_EQ(waitpid(vmm, &status, WNOHANG), 0) << "it waits for its page";
  kill(vmm, SIGKILL);
  EXPECT_EQ(test::ended_as(vmm), -SIGKILL);
}

}  // namespace
}  // namespace mvm
