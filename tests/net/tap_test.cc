// kMake and kUnmake of a tap, as ip, bridge and nft then show it.
#include <fcntl.h>

#include "base/derived.h"
#include "broker/net/tun.h"
#include "tests/net/net_fixture.h"

namespace mvm::net {
namespace {

using wire::Op;

class Tap : public InANamespace {
 protected:
  void SetUp() override {
    InANamespace::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    make(bridge_task(Op::kMake, 3));
  }
  nlohmann::json link(const std::string& name) { return shell_json("ip -d -j link show " + name).at(0); }
};

TEST_F(Tap, IsAPersistentOneOfTheInstancesUidWithFirecrackersHeader) {
  const wire::Task task = tap_task(Op::kMake, 3, 5);
  make(task);
  const auto info = link("tn3i5")["linkinfo"];
  EXPECT_EQ("tun", info["info_kind"]);
  EXPECT_EQ("tap", info["info_data"]["type"]);
  EXPECT_EQ(false, info["info_data"]["pi"]);
  EXPECT_EQ(true, info["info_data"]["vnet_hdr"]);
  EXPECT_EQ(true, info["info_data"]["persist"]);
  const auto tuntap = shell("ip -d link show tn3i5");
  EXPECT_TRUE(tuntap.contains("user " + std::to_string(task.place.uid))) << tuntap;
  EXPECT_TRUE(tuntap.contains("group " + std::to_string(task.place.uid))) << tuntap;
}

TEST_F(Tap, IsUpOnItsTenantsBridgeAndHasNoIpv6) {
  make(tap_task(Op::kMake, 3, 5));
  EXPECT_EQ("br-tenant-3", link("tn3i5")["master"]);
  EXPECT_EQ("none", link("tn3i5")["inet6_addr_gen_mode"]);
  EXPECT_EQ("mvm", link("tn3i5")["ifalias"]);
  EXPECT_EQ(std::to_string(kLinkGroup), link("tn3i5")["group"].get<std::string>());
  EXPECT_TRUE(shell("ip link show tn3i5 up").contains("tn3i5"));
  EXPECT_EQ("8\n", shell("cat /proc/sys/net/ipv4/conf/tn3i5/arp_ignore"));
}

TEST_F(Tap, LearnsNothingAndItsMacIsFixedToItsPort) {
  make(tap_task(Op::kMake, 3, 5));
  const auto port = link("tn3i5")["linkinfo"]["info_slave_data"];
  EXPECT_EQ(false, port["learning"]);
  EXPECT_EQ(false, port["flood"]);
  EXPECT_EQ(true, port["guard"]);
  EXPECT_EQ(false, port["isolated"]) << "traffic within a tenant is free";
  const std::string entries = shell("bridge fdb show dev tn3i5");
  EXPECT_TRUE(entries.contains(mac_to_string(instance_mac(3, 5)) + " master br-tenant-3 static")) << entries;
}

TEST_F(Tap, IsKnownToTheRulesByNameMacAndAddress) {
  make(tap_task(Op::kMake, 3, 5));
  const std::string sources = shell("nft list set bridge mvm sources");
  EXPECT_TRUE(sources.contains("\"tn3i5\" . " + mac_to_string(instance_mac(3, 5)) + " . 10.240.3.5")) << sources;
}

TEST_F(Tap, LeavesNothingBehind) {
  const std::string before = whole_state();
  make(tap_task(Op::kMake, 3, 5));
  make(tap_task(Op::kUnmake, 3, 5));
  EXPECT_EQ(before, whole_state());
}

TEST_F(Tap, CanBeMadeTwiceAndRemovedTwice) {
  const std::string before = whole_state();
  make(tap_task(Op::kMake, 3, 5));
  const std::string once = whole_state();
  make(tap_task(Op::kMake, 3, 5));
  EXPECT_EQ(once, whole_state());
  make(tap_task(Op::kUnmake, 3, 5));
  make(tap_task(Op::kUnmake, 3, 5));
  EXPECT_EQ(before, whole_state());
}

TEST_F(Tap, IsRemovedWithoutItsSubnetBeingKnown) {
  const std::string before = whole_state();
  make(tap_task(Op::kMake, 3, 5));
  wire::Task leak = tap_task(Op::kUnmake, 3, 5);
  leak.place.subnet = {};
  leak.place.cidr = {};
  make(leak);
  EXPECT_EQ(before, whole_state());
}

TEST_F(Tap, NeedsItsBridge) {
  const wire::Answer answer = run(tap_task(Op::kMake, 4, 5));
  EXPECT_FALSE(answer.ok);
  EXPECT_EQ(Errc::kNotFound, answer.error.code);
}

TEST_F(Tap, IsNotMadeOverAForeignLinkOfThatName) {
  shell("ip tuntap add dev tn3i5 mode tap");
  const std::string before = whole_state();
  const wire::Answer answer = run(tap_task(Op::kMake, 3, 5));
  EXPECT_FALSE(answer.ok);
  EXPECT_EQ(Errc::kExists, answer.error.code);
  EXPECT_EQ(before, whole_state());
}

TEST_F(Tap, IsNotDeletedWhereItIsForeign) {
  shell("ip tuntap add dev tn3i5 mode tap");
  make(tap_task(Op::kUnmake, 3, 5));
  EXPECT_TRUE(shell("ip link show tn3i5").contains("tn3i5"));
}

TEST_F(Tap, IsLeftAsItIsWhileItsOwnMicrovmHoldsIt) {
  const wire::Task task = tap_task(Op::kMake, 3, 5);
  make(task);
  const Result<Fd> held = hold_tap("tn3i5", task.place.uid);
  ASSERT_TRUE(held) << held.error().message();
  const auto index = link("tn3i5")["ifindex"];
  make(task);
  EXPECT_EQ(index, link("tn3i5")["ifindex"]);
}

TEST_F(Tap, IsNotGivenToAnotherUidWhileItIsHeldOpen) {
  wire::Task task = tap_task(Op::kMake, 3, 5);
  make(task);
  const Result<Fd> held = hold_tap("tn3i5", task.place.uid);
  ASSERT_TRUE(held);
  const std::string before = whole_state();
  task.place.uid += 1;
  const wire::Answer answer = run(task);
  EXPECT_FALSE(answer.ok);
  EXPECT_EQ(Errc::kBusy, answer.error.code);
  EXPECT_EQ(EBUSY, answer.error.sys_errno);
  EXPECT_EQ(before, whole_state());
}

TEST_F(Tap, IsGivenToAnotherUidWhereNobodyHoldsIt) {
  wire::Task task = tap_task(Op::kMake, 3, 5);
  make(task);
  task.place.uid += 1;
  make(task);
  EXPECT_TRUE(shell("ip -d link show tn3i5").contains("user " + std::to_string(task.place.uid)));
}

TEST_F(Tap, IsRemovedEvenWhileItIsHeldOpen) {
  const std::string before = whole_state();
  const wire::Task task = tap_task(Op::kMake, 3, 5);
  make(task);
  const Result<Fd> held = hold_tap("tn3i5", task.place.uid);
  ASSERT_TRUE(held);
  make(tap_task(Op::kUnmake, 3, 5));
  EXPECT_EQ(before, whole_state());
}

TEST_F(Tap, IsNotThereWhereTheRulesThatGuardItAreGone) {
  shell("nft delete table bridge mvm");
  const std::string before = whole_state();
  const wire::Answer answer = run(tap_task(Op::kMake, 3, 5));
  EXPECT_FALSE(answer.ok);
  EXPECT_EQ(Errc::kNotFound, answer.error.code);
  EXPECT_EQ(before, whole_state());
}

// A bridge takes 1,023 ports (BR_MAX_PORTS); the next is refused when it is attached, after the tap was made.
TEST_F(Tap, IsUndoneWhereTheBridgeIsFull) {
  shell("for i in $(seq 512); do echo link add va$i type veth peer name vb$i; echo link set va$i master br-tenant-3; "
        "test $i = 512 || echo link set vb$i master br-tenant-3; done | ip -batch -");
  const std::string before = shell("ip -br link; nft list ruleset");
  const wire::Answer answer = run(tap_task(Op::kMake, 3, 5));
  EXPECT_FALSE(answer.ok);
  EXPECT_EQ(EXFULL, answer.error.sys_errno) << answer.error.message();
  EXPECT_EQ(before, shell("ip -br link; nft list ruleset"));
}

class Taps : public Tap {
 protected:
  void SetUp() override {
    Tap::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    before_ = whole_state();
    for (std::uint32_t slot = 3; slot < 23; ++slot) make(tap_task(Op::kMake, 3, slot));
  }
  std::vector<wire::Task> removals(std::uint32_t from, std::uint32_t to) {
    std::vector<wire::Task> tasks;
    for (std::uint32_t slot = from; slot < to; ++slot) tasks.push_back(tap_task(Op::kUnmake, 3, slot));
    return tasks;
  }
  std::string before_;
};

TEST_F(Taps, ThatAreRemovedSideBySideLeaveNothing) {
  const std::vector<wire::Answer> answers = dispatch_all(kernel(), removals(3, 23));
  EXPECT_EQ(20U, answers.size());
  for (const wire::Answer& answer : answers) EXPECT_TRUE(answer.ok) << answer.error.message();
  EXPECT_EQ(before_, whole_state());
}

TEST_F(Taps, ThatAreRemovedSideBySideLeaveTheOthers) {
  for (const wire::Answer& answer : dispatch_all(kernel(), removals(5, 20))) EXPECT_TRUE(answer.ok);
  const auto items = inventory_items();
  std::vector<std::uint32_t> left;
  for (const wire::Item& item : items)
    if (item.word == lang::Word::kTap && item.alive) left.push_back(item.slot);
  EXPECT_EQ((std::vector<std::uint32_t>{3, 4, 20, 21, 22}), left);
}

TEST_F(Taps, ThatAreRemovedSideBySideAreEachAnsweredAlsoWhereOneIsNoneOfOurs) {
  shell("ip link set tn3i7 group 0; ip link del tn3i8");
  std::vector<wire::Task> tasks = removals(6, 10);
  tasks[0].place.net = 4096;
  tasks.push_back(inventory_task());
  const std::vector<wire::Answer> answers = dispatch_all(kernel(), tasks);
  ASSERT_EQ(5U, answers.size());
  EXPECT_FALSE(answers[0].ok) << "a net that is none";
  EXPECT_TRUE(answers[1].ok && answers[2].ok && answers[3].ok && answers[4].ok);
  EXPECT_TRUE(shell("ip link show tn3i7").contains("tn3i7")) << "foreign";
  EXPECT_FALSE(shell("ip -br link").contains("tn3i9"));
}

// That it is one step for all is seen by what else is in their group.
TEST_F(Taps, ThatAreRemovedSideBySideGoByTheirGroup) {
  shell("ip link set tn3i22 group " + std::to_string(kLeavingGroup));
  for (const wire::Answer& answer : dispatch_all(kernel(), removals(3, 4))) EXPECT_TRUE(answer.ok);
  EXPECT_TRUE(shell("ip -br link").contains("tn3i22")) << "one alone has no need of it";
  for (const wire::Answer& answer : dispatch_all(kernel(), removals(4, 6))) EXPECT_TRUE(answer.ok);
  EXPECT_FALSE(shell("ip -br link").contains("tn3i22"));
}

// A death between the two steps leaves a tap in that group: not whole, and swept; or made again, and whole.
TEST_F(Taps, ThatWereLeavingAreFoundAndSweptOrMadeAgain) {
  shell("ip link set tn3i22 group " + std::to_string(kLeavingGroup));
  EXPECT_FALSE(inventory_items().back().alive);
  make(tap_task(Op::kMake, 3, 22));
  EXPECT_TRUE(inventory_items().back().alive);
  shell("ip link set tn3i22 group " + std::to_string(kLeavingGroup));
  make(tap_task(Op::kUnmake, 3, 22));
  EXPECT_FALSE(shell("ip -br link").contains("tn3i22"));
}

TEST_F(Tap, RemovesTheRulesWhenItWasTheLastThingOfOurs) {
  make(tap_task(Op::kMake, 3, 5));
  shell("ip link del br-tenant-3");
  make(tap_task(Op::kUnmake, 3, 5));
  EXPECT_EQ("", shell("nft list ruleset"));
}

}  // namespace
}  // namespace mvm::net
