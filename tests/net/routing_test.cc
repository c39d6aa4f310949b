// The routing of a bridge, as ip shows it, and as the inventory and a sweep take it. What it does to packets is packets_test.cc's.
#include "broker/net/routing.h"

#include <linux/rtnetlink.h>

#include <algorithm>

#include "base/derived.h"
#include "tests/net/net_fixture.h"

namespace mvm::net {
namespace {

using wire::Op;

class Routes : public InANamespace {
 protected:
  // Ours alone; ip shows no protocol where it knows no name for it.
  std::string rules() { return shell("ip rule | grep -E '^7[0-9]:' || true"); }
  std::string table(std::uint16_t net) { return shell("ip route show table " + std::to_string(table_of(net)) + " | sed -E 's/ linkdown//; s/ +$//'"); }
  bool alive(std::uint16_t net) {
    const auto items = inventory_items();
    const auto found = std::ranges::find_if(items, [&](const wire::Item& item) { return item.word == lang::Word::kBridge && item.net == net; });
    return found != items.end() && found->alive;
  }
  wire::Task leak(std::uint16_t net) {
    wire::Task task;
    task.op = Op::kUnmake;
    task.statement.word = lang::Word::kBridge;
    task.place.net = net;
    return task;
  }
};

TEST_F(Routes, AreATableForEachBridgeWithTheClusterADeadEnd) {
  make(bridge_task(Op::kMake, 3));
  make(bridge_task(Op::kMake, 4095));
  EXPECT_EQ("71:\tfrom all iif lo goto 75 proto 109\n"
            "72:\tnot from 10.240.0.0/12 to 10.240.0.0/12 goto 75 proto 109\n"
            "73:\tfrom all iif br-tenant-3 lookup 7170003 proto 109\n"
            "73:\tfrom all iif br-tenant-4095 lookup 7174095 proto 109\n"
            "74:\tfrom 10.240.0.0/12 to 10.240.0.0/12 blackhole proto 109\n"
            "75:\tfrom all nop proto 109\n", rules());
  EXPECT_EQ("blackhole 10.240.0.0/12 proto 109\n10.240.3.0/24 dev br-tenant-3 proto 109 scope link\n", table(3));
}

TEST_F(Routes, AreTheBridgesOwnAndGoWithIt) {
  make(bridge_task(Op::kMake, 3));
  const std::string one = whole_state();
  make(bridge_task(Op::kMake, 4));
  make(bridge_task(Op::kUnmake, 4));
  EXPECT_EQ(one, whole_state());
}

TEST_F(Routes, AreTheSameWhenTheBridgeIsMadeTwice) {
  make(bridge_task(Op::kMake, 3));
  const std::string once = rules() + table(3);
  make(bridge_task(Op::kMake, 3));
  EXPECT_EQ(once, rules() + table(3));
}

TEST_F(Routes, LeaveForeignRulesAndTablesAlone) {
  shell("ip rule add pref 73 iif br-tenant-9 lookup 99; ip rule add pref 72 from 192.0.2.1 lookup 99; ip route add blackhole 192.0.2.0/24 table 7170003");
  const std::string before = whole_state();
  make(bridge_task(Op::kMake, 3));
  EXPECT_FALSE(inventory_items().empty());
  make(bridge_task(Op::kUnmake, 3));
  EXPECT_EQ(before, whole_state());
  EXPECT_TRUE(inventory_items().empty());
}

TEST_F(Routes, FollowTheClustersSubnetWhereItChanges) {
  make(bridge_task(Op::kMake, 3));
  wire::Task wider = bridge_task(Op::kMake, 3);
  wider.place.cidr = {10U << 24 | 224U << 16, 11};
  make(wider);
  EXPECT_FALSE(rules().contains("10.240.0.0/12")) << rules();
  EXPECT_TRUE(rules().contains("74:\tfrom 10.224.0.0/11 to 10.224.0.0/11 blackhole")) << rules();
  EXPECT_TRUE(table(3).starts_with("blackhole 10.224.0.0/11")) << table(3);
  EXPECT_FALSE(table(3).contains("/12"));
  EXPECT_TRUE(alive(3));
}

// Each part of it taken away is seen, and made good by making the bridge again.
TEST_F(Routes, AreMissedByTheInventoryPartByPartAndMadeGood) {
  make(bridge_task(Op::kMake, 3));
  make(tap_task(Op::kMake, 3, 5));
  const std::string whole = rules() + table(3);
  for (const char* part : {"ip rule del pref 71", "ip rule del pref 72", "ip rule del pref 73", "ip rule del pref 74", "ip rule del pref 75",
                           "ip route del blackhole 10.240.0.0/12 table 7170003", "ip route del 10.240.3.0/24 table 7170003",
                           "ip rule del pref 74; ip rule add pref 74 from 10.240.0.0/16 to 10.240.0.0/12 blackhole protocol 109",
                           "ip route del blackhole 10.240.0.0/12 table 7170003; ip route add blackhole 10.241.0.0/16 table 7170003 proto 109"}) {
    ASSERT_TRUE(alive(3)) << part;
    shell(part);
    EXPECT_FALSE(alive(3)) << part;
    make(bridge_task(Op::kMake, 3));
    EXPECT_EQ(whole, rules() + table(3)) << part;
  }
}

// Before the link there is routing, and after it: so a death in between leaves routing alone.
TEST_F(Routes, WithoutTheirBridgeAreFoundAndSwept) {
  const std::string before = whole_state();
  ASSERT_TRUE(make_dead_ends(kernel().route, {3}, kCidr));
  EXPECT_EQ((std::vector<wire::Item>{{lang::Word::kBridge, {}, 3, 0, false, 0}}), inventory_items());
  make(leak(3));
  EXPECT_EQ(before, whole_state());
  make(bridge_task(Op::kMake, 3));
  shell("nft flush ruleset; ip link del br-tenant-3; ip rule del pref 73");
  EXPECT_EQ((std::vector<wire::Item>{{lang::Word::kBridge, {}, 3, 0, false, 0}}), inventory_items()) << "by its table alone";
  make(leak(3));
  EXPECT_EQ(before, whole_state());
}

TEST_F(Routes, AreNotLeftWhereTheBridgeCannotBeMade) {
  shell("ip link add br-tenant-3 type bridge");
  const std::string before = whole_state();
  EXPECT_FALSE(run(bridge_task(Op::kMake, 3)).ok);
  EXPECT_EQ(before, whole_state());
}

// What the host itself sends, and what is not from a tenant to a tenant, goes by the host's own rules.
TEST_F(Routes, ChangeNothingForTheHostsOtherTraffic) {
  make(bridge_task(Op::kMake, 3));
  make(bridge_task(Op::kMake, 4));
  shell("ip link add up0 type veth peer name up1; ip link set up1 up; ip address add 192.0.2.1/24 dev up0; ip link set up0 up; ip route add default via 192.0.2.9; "
        "echo 1 > /proc/sys/net/ipv4/ip_forward; ip rule add pref 99 to 198.51.100.0/24 blackhole");
  const auto way = [](const std::string& query) { return shell("ip route get " + query + " 2>&1 | head -1; true"); };
  EXPECT_TRUE(way("10.240.4.9").contains("dev br-tenant-4")) << way("10.240.4.9");
  EXPECT_TRUE(way("10.240.4.9 from 192.0.2.7 iif up0").contains("dev br-tenant-4"));
  EXPECT_TRUE(way("203.0.113.5 from 10.240.3.5 iif br-tenant-3").contains("dev up0"));
  EXPECT_TRUE(way("10.240.3.9 from 10.240.3.5 iif br-tenant-3").contains("dev br-tenant-3"));
  EXPECT_FALSE(way("198.51.100.1 from 10.240.3.5 iif br-tenant-3").contains("dev")) << "past the host's own rules";
  EXPECT_FALSE(way("10.240.4.9 from 10.240.3.5 iif br-tenant-3").contains("dev br-tenant-4"));
  EXPECT_FALSE(way("10.250.0.9 from 10.240.3.5 iif br-tenant-3").contains("dev up0")) << "another node's tenant";
  EXPECT_FALSE(way("10.240.4.9 from 10.240.3.5 iif up0").contains("dev br-tenant-4")) << "in by no bridge of ours";
}

}  // namespace
}  // namespace mvm::net
