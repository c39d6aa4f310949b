// What the worker says is there, of whole things and of what a death half-way leaves.
#include <algorithm>

#include "base/derived.h"
#include "tests/net/net_fixture.h"

namespace mvm::net {
namespace {

using wire::Item;
using wire::Op;

Item item(lang::Word word, std::uint16_t net, std::uint32_t slot, bool alive) { return {word, {}, net, slot, alive, 0}; }

class Inventory : public InANamespace {
 protected:
  // A worker that starts again and sweeps must find and remove all of it.
  void sweep() {
    std::vector<Item> items = inventory_items();
    std::ranges::reverse(items);
    for (const Item& found : items) {
      wire::Task task;
      task.op = Op::kUnmake;
      task.statement.word = found.word;
      task.place.net = found.net;
      task.place.slot = found.slot;
      make(task);
    }
  }
};

TEST_F(Inventory, OfAnEmptyHostIsEmpty) { EXPECT_TRUE(inventory_items().empty()); }

TEST_F(Inventory, NamesBridgesRulesAndTaps) {
  make(bridge_task(Op::kMake, 3));
  make(bridge_task(Op::kMake, 4095));
  make(rule_task(Op::kMake, 3, lang::kEgressNone));
  make(tap_task(Op::kMake, 3, 5));
  make(tap_task(Op::kMake, 3, 200));
  EXPECT_EQ((std::vector<Item>{item(lang::Word::kBridge, 3, 0, true), item(lang::Word::kBridge, 4095, 0, true),
                               item(lang::Word::kRule, 3, 0, true), item(lang::Word::kTap, 3, 5, true),
                               item(lang::Word::kTap, 3, 200, true)}),
            inventory_items());
}

TEST_F(Inventory, CountsTheFramesOfOurTapsAlone) {
  make(bridge_task(Op::kMake, 3));
  make(tap_task(Op::kMake, 3, 5));
  shell("ip tuntap add dev tn7i5 mode tap");
  wire::Task task;
  task.seq = 1;
  task.op = Op::kRead;
  const auto answers = dispatch(kernel(), task);
  ASSERT_EQ(answers.size(), 1u);
  ASSERT_EQ(answers[0].readings.size(), 1u);
  EXPECT_EQ(answers[0].readings[0].net, 3u);
  EXPECT_EQ(answers[0].readings[0].slot, 5u);
  EXPECT_TRUE(answers[0].readings[0].frames);
}

TEST_F(Inventory, PassesOverForeignLinks) {
  shell("ip link add br-tenant-7 type bridge; ip tuntap add dev tn7i5 mode tap; ip link add br0 type bridge");
  EXPECT_TRUE(inventory_items().empty());
}

TEST_F(Inventory, PassesOverNamesThatAreNotSpelledAsOurs) {
  const std::string group = " group " + std::to_string(kLinkGroup) + " type bridge";
  shell("ip link add br-tenant-07" + group + "; ip link add br-tenant-4096" + group + "; ip link add br-tenant-x" + group);
  EXPECT_TRUE(inventory_items().empty());
}

TEST_F(Inventory, SaysThatATapOnAnotherBridgeIsNotAlive) {
  make(bridge_task(Op::kMake, 3));
  make(bridge_task(Op::kMake, 4));
  make(tap_task(Op::kMake, 3, 5));
  shell("ip link set tn3i5 master br-tenant-4");
  EXPECT_EQ(item(lang::Word::kTap, 3, 5, false), inventory_items().back());
}

TEST_F(Inventory, SaysThatATapThatTheRulesDoNotKnowIsNotAlive) {
  make(bridge_task(Op::kMake, 3));
  make(tap_task(Op::kMake, 3, 5));
  shell("nft flush set bridge mvm sources");
  EXPECT_EQ(item(lang::Word::kTap, 3, 5, false), inventory_items().back());
}

TEST_F(Inventory, SaysThatABridgeThatIsDownIsNotAlive) {
  make(bridge_task(Op::kMake, 3));
  shell("ip link set br-tenant-3 down");
  EXPECT_EQ(std::vector<Item>{item(lang::Word::kBridge, 3, 0, false)}, inventory_items());
}

TEST_F(Inventory, SaysThatARuleIsNotAliveThatLetsOutToOtherThanThePolicyLists) {
  shell("echo 1 > /proc/sys/net/ipv4/ip_forward");
  make(bridge_task(Op::kMake, 3));
  wire::Task rule = rule_task(Op::kMake, 3, lang::kEgressListed), wanted = inventory_task();
  make(rule);
  wanted.egress = rule.egress;
  const auto is_alive = [&] {
    const auto items = inventory_items(wanted);
    const auto found = std::ranges::find(items, lang::Word::kRule, &Item::word);
    return found != items.end() && found->alive;
  };
  EXPECT_TRUE(is_alive());
  wanted.egress.push_back({203U << 24 | 113U << 8, 24});
  EXPECT_FALSE(is_alive()) << "a line more in the policy, and hostd started again";
  rule.egress = wanted.egress;
  make(rule);
  EXPECT_TRUE(is_alive());
  wanted.egress.erase(wanted.egress.begin());
  EXPECT_FALSE(is_alive()) << "a line less";
  rule.egress = wanted.egress;
  make(rule);
  EXPECT_TRUE(is_alive());
  EXPECT_FALSE(shell("nft list set inet mvm allowed").contains("192.0.2.0"));
  wanted.egress.push_back({203U << 24 | 113U << 8 | 128, 25});
  EXPECT_TRUE(is_alive()) << "what lies in another line changes nothing";
  shell("nft add element inet mvm allowed '{ \"br-tenant-3\" . 198.51.100.7-198.51.100.9 }'");
  EXPECT_FALSE(is_alive()) << "somebody let it out to more";
  make(rule);
  EXPECT_TRUE(is_alive());
  shell("nft delete element inet mvm replies '{ \"br-tenant-3\" }'");
  EXPECT_FALSE(is_alive()) << "and took the answers away";
  make(rule);
  EXPECT_TRUE(is_alive());
}

TEST_F(Inventory, SaysThatARuleWithoutAListIsNotAliveThatHasOne) {
  shell("echo 1 > /proc/sys/net/ipv4/ip_forward");
  make(bridge_task(Op::kMake, 3));
  for (const std::uint64_t egress : {lang::kEgressNone, lang::kEgressNat}) {
    make(rule_task(Op::kMake, 3, egress));
    EXPECT_TRUE(inventory_items().back().alive);
    shell("nft add element inet mvm allowed '{ \"br-tenant-3\" . 198.51.100.0/24 }'");
    EXPECT_EQ(item(lang::Word::kRule, 3, 0, false), inventory_items().back());
    make(rule_task(Op::kMake, 3, egress));
    EXPECT_TRUE(inventory_items().back().alive);
  }
}

// Elements come before the link and go after it, so a death in between leaves elements alone.
TEST_F(Inventory, FindsElementsWithoutTheirLinkAndASweepLeavesNothing) {
  const std::string before = whole_state();
  make(bridge_task(Op::kMake, 3));
  make(bridge_task(Op::kMake, 4));
  make(rule_task(Op::kMake, 3, lang::kEgressNone));
  make(tap_task(Op::kMake, 3, 5));
  shell("ip link del tn3i5; ip link del br-tenant-3");
  EXPECT_EQ((std::vector<Item>{item(lang::Word::kBridge, 3, 0, false), item(lang::Word::kBridge, 4, 0, true),
                               item(lang::Word::kRule, 3, 0, false), item(lang::Word::kTap, 3, 5, false)}),
            inventory_items());
  sweep();
  EXPECT_EQ(before, whole_state());
}

TEST_F(Inventory, FindsLinksWhoseRulesAreGoneAndASweepLeavesNothing) {
  const std::string before = whole_state();
  make(bridge_task(Op::kMake, 3));
  make(tap_task(Op::kMake, 3, 5));
  shell("nft flush ruleset");
  EXPECT_EQ((std::vector<Item>{item(lang::Word::kBridge, 3, 0, false), item(lang::Word::kTap, 3, 5, false)}), inventory_items());
  sweep();
  EXPECT_EQ(before, whole_state());
}

TEST_F(Inventory, OfASweepTakesAHalfMadeBridge) {
  const std::string before = whole_state();
  shell("ip link add br-tenant-3 group " + std::to_string(kLinkGroup) + " type bridge");
  sweep();
  EXPECT_EQ(before, whole_state());
}

}  // namespace
}  // namespace mvm::net
