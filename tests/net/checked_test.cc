// What of a task comes out of the second look.
#include "broker/net/checked.h"

#include <gtest/gtest.h>

#include "tests/net/net_fixture.h"

namespace mvm::net {
namespace {

using wire::Op;

template <class Checked>
Errc refused(const wire::Task& task) {
  const auto checked = Checked::from(task);
  return checked ? Errc::kSystem : checked.error().code;
}

TEST(CheckedBridge, IsTheStatementsOwnInsideTheCluster) {
  const wire::Task good = bridge_task(Op::kMake, 3);
  EXPECT_TRUE(CheckedBridge::from(good));
  wire::Task task = good;
  task.place.net = 4;
  EXPECT_EQ(Errc::kDenied, refused<CheckedBridge>(task)) << "another net than the statement's";
  task = good;
  task.place.subnet = subnet_of(4);
  EXPECT_EQ(Errc::kDenied, refused<CheckedBridge>(task)) << "another subnet than the statement's";
  task = good;
  task.place.cidr = {192U << 24, 8};
  EXPECT_EQ(Errc::kDenied, refused<CheckedBridge>(task)) << "outside the cluster";
  task = good;
  task.place.cidr = {};
  EXPECT_EQ(Errc::kDenied, refused<CheckedBridge>(task)) << "no cluster";
  task = good;
  task.place.net = 4096;
  task.statement.numbers[0] = 4096;
  EXPECT_EQ(Errc::kDenied, refused<CheckedBridge>(task)) << "a net out of range";
  EXPECT_EQ(Errc::kDenied, refused<CheckedBridge>(tap_task(Op::kMake, 3, 5))) << "another word";
}

TEST(CheckedBridge, TakesListsOfSubnetsAlone) {
  for (auto list : {&wire::Task::egress, &wire::Task::closed})
    for (const Subnet& none : {Subnet{10U << 24 | 1, 24}, Subnet{0, 0}, Subnet{10U << 24, 33}, Subnet{10U << 24, 7}}) {
      wire::Task bridge = bridge_task(Op::kMake, 3), inventory = inventory_task();
      (bridge.*list).push_back(none), (inventory.*list).push_back(none);
      EXPECT_EQ(Errc::kDenied, refused<CheckedBridge>(bridge)) << to_string(none);
      EXPECT_EQ(Errc::kDenied, refused<CheckedInventory>(inventory)) << to_string(none);
    }
  wire::Task nowhere = inventory_task();
  nowhere.place.cidr = {};
  EXPECT_EQ(Errc::kDenied, refused<CheckedInventory>(nowhere));
}

TEST(CheckedTap, HasASlotFromTheFirstToTheLastOfItsSubnet) {
  for (const std::uint32_t slot : {3U, 254U}) EXPECT_TRUE(CheckedTap::from(tap_task(Op::kMake, 3, slot))) << slot;
  for (const std::uint32_t slot : {0U, 1U, 2U, 255U, 256U, 0xffffffffU})
    EXPECT_EQ(Errc::kDenied, refused<CheckedTap>(tap_task(Op::kMake, 3, slot))) << slot;
  EXPECT_EQ((10U << 24) + (240U << 16) + (3U << 8) + 5, CheckedTap::from(tap_task(Op::kMake, 3, 5))->address());
}

TEST(CheckedTap, BelongsToAnInstancesUid) {
  wire::Task task = tap_task(Op::kMake, 3, 5);
  for (const std::uint32_t uid : {0U, 1000U, 65'535U, 0xffffffffU}) {
    task.place.uid = uid;
    EXPECT_EQ(Errc::kDenied, refused<CheckedTap>(task)) << uid;
  }
  task.place.uid = 65'536;
  EXPECT_TRUE(CheckedTap::from(task));
}

TEST(CheckedTap, IsThePlacesOwn) {
  wire::Task task = tap_task(Op::kMake, 3, 5);
  task.place.slot = 6;
  EXPECT_EQ(Errc::kDenied, refused<CheckedTap>(task));
}

TEST(CheckedRule, HasAListExactlyWhereEgressIsListed) {
  wire::Task task = rule_task(Op::kMake, 3, lang::kEgressListed);
  EXPECT_TRUE(CheckedRule::from(task));
  task.egress.clear();
  EXPECT_EQ(Errc::kDenied, refused<CheckedRule>(task));
  task = rule_task(Op::kMake, 3, lang::kEgressNat);
  EXPECT_TRUE(CheckedRule::from(task));
  task.egress = {subnet_of(9)};
  EXPECT_EQ(Errc::kDenied, refused<CheckedRule>(task));
  EXPECT_EQ(Errc::kDenied, refused<CheckedRule>(rule_task(Op::kMake, 3, 3)));
}

TEST(CheckedRule, TakesSubnetsAlone) {
  wire::Task task = rule_task(Op::kMake, 3, lang::kEgressListed);
  for (const Subnet& none : {Subnet{10U << 24 | 1, 24}, Subnet{0, 0}, Subnet{10U << 24, 33}, Subnet{10U << 24, 7}}) {
    task.egress = {none};
    EXPECT_EQ(Errc::kDenied, refused<CheckedRule>(task)) << to_string(none);
  }
}

TEST(CheckedRule, FoldsWhatIsInsideAnother) {
  wire::Task task = rule_task(Op::kMake, 3, lang::kEgressListed);
  task.egress = {{20U << 24 | 128, 25}, {20U << 24, 24}, {20U << 24, 24}, {20U << 24 | 256, 24}, {20U << 24 | 9, 32}};
  EXPECT_EQ((std::vector<Subnet>{{20U << 24, 24}, {20U << 24 | 256, 24}}), CheckedRule::from(task)->listed());
}

TEST(CheckedRule, TakesTheHighestRateAndNotAHigherOne) {
  wire::Task task = rule_task(Op::kMake, 3, lang::kEgressNat);
  const std::size_t mbps = lang::field_index(lang::Word::kRule, "mbps");
  EXPECT_EQ(kMaxMbps, lang::row(lang::Word::kRule).fields[mbps].max) << "a plan that verifies would fail here";
  task.statement.numbers[mbps] = kMaxMbps;
  EXPECT_TRUE(CheckedRule::from(task));
  task.statement.numbers[mbps] = kMaxMbps + 1;
  EXPECT_EQ(Errc::kLimit, refused<CheckedRule>(task));
}

TEST(CheckedRemoval, NeedsNoSubnetAndNoStatement) {
  wire::Task task;
  task.op = Op::kUnmake;
  task.place.net = 3;
  task.place.slot = 5;
  EXPECT_FALSE(CheckedRemoval::from(task)->address());
  task.place.subnet = subnet_of(3);
  EXPECT_EQ(subnet_of(3).base + 5, CheckedRemoval::from(task)->address());
  task.place.net = 4096;
  EXPECT_EQ(Errc::kDenied, refused<CheckedRemoval>(task));
}

// A plan's highest net and slot must make a name that a link can have.
TEST(CheckedRemoval, TakesTheLongestNameAndNotALongerOne) {
  wire::Task task;
  task.place.net = 4095;
  task.place.slot = (1U << 20) - 2;
  EXPECT_TRUE(CheckedRemoval::from(task));
  task.place.slot = 100'000'000;
  EXPECT_EQ(Errc::kDenied, refused<CheckedRemoval>(task));
}

}  // namespace
}  // namespace mvm::net
