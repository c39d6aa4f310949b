// kMake and kUnmake of a bridge, as ip, bridge and nft then show it.
#include "tests/net/net_fixture.h"

#include "base/derived.h"

namespace mvm::net {
namespace {

using Bridge = InANamespace;
using wire::Op;

TEST_F(Bridge, IsUpWithTheGatewaysAddressAndNoIpv6) {
  make(bridge_task(Op::kMake, 3));
  const auto link = shell_json("ip -d -j link show br-tenant-3").at(0);
  EXPECT_EQ("bridge", link["linkinfo"]["info_kind"]);
  EXPECT_EQ(0, link["linkinfo"]["info_data"]["stp_state"]);
  EXPECT_EQ(0, link["linkinfo"]["info_data"]["mcast_snooping"]);
  EXPECT_EQ("mvm", link["ifalias"]);
  EXPECT_EQ(std::to_string(kLinkGroup), link["group"].get<std::string>());
  EXPECT_EQ("none", link["inet6_addr_gen_mode"]);
  EXPECT_EQ(mac_to_string(instance_mac(3, 1)), link["address"].get<std::string>());
  EXPECT_TRUE(shell("ip link show br-tenant-3 up").contains("br-tenant-3"));
  const auto addresses = shell_json("ip -j address show br-tenant-3").at(0)["addr_info"];
  ASSERT_EQ(1U, addresses.size());
  EXPECT_EQ("10.240.3.1", addresses[0]["local"]);
  EXPECT_EQ(24, addresses[0]["prefixlen"]);
  EXPECT_EQ("10.240.3.255", addresses[0]["broadcast"]);
}

TEST_F(Bridge, TakesNoRedirectsAndNoSourceRoutes) {
  make(bridge_task(Op::kMake, 3));
  const auto setting = [](const char* name) { return shell(std::string("cat /proc/sys/net/ipv4/conf/br-tenant-3/") + name); };
  EXPECT_EQ("1\n", setting("rp_filter"));
  EXPECT_EQ("0\n", setting("accept_redirects"));
  EXPECT_EQ("0\n", setting("send_redirects"));
  EXPECT_EQ("0\n", setting("accept_source_route"));
  EXPECT_EQ("0\n", setting("proxy_arp"));
  EXPECT_EQ("1\n", setting("arp_ignore"));
}

TEST_F(Bridge, LeavesNothingBehind) {
  const std::string before = whole_state();
  make(bridge_task(Op::kMake, 3));
  make(bridge_task(Op::kMake, 4));
  EXPECT_NE(before, whole_state());
  make(bridge_task(Op::kUnmake, 3));
  EXPECT_TRUE(shell("nft list tables").contains("mvm"));
  make(bridge_task(Op::kUnmake, 4));
  EXPECT_EQ(before, whole_state());
}

TEST_F(Bridge, LeavesItsRulesTheSameWhenItIsMadeTwice) {
  make(bridge_task(Op::kMake, 3));
  const std::string once = shell("nft list ruleset");
  make(bridge_task(Op::kMake, 3));
  EXPECT_EQ(once, shell("nft list ruleset"));
}

TEST_F(Bridge, IsCompletedWithItsPortsOnWhenItIsMadeAgain) {
  make(bridge_task(Op::kMake, 3));
  make(tap_task(Op::kMake, 3, 5));
  const auto index = shell_json("ip -j link show br-tenant-3").at(0)["ifindex"];
  shell("ip address flush dev br-tenant-3; ip link set br-tenant-3 down");
  make(bridge_task(Op::kMake, 3));
  EXPECT_EQ(index, shell_json("ip -j link show br-tenant-3").at(0)["ifindex"]);
  EXPECT_TRUE(shell("ip link show br-tenant-3 up").contains("br-tenant-3"));
  EXPECT_TRUE(shell("ip address show br-tenant-3").contains("10.240.3.1/24"));
  EXPECT_EQ("br-tenant-3", shell_json("ip -j link show tn3i5").at(0)["master"]);
}

// A worker that died between creating the bridge and setting it up leaves a bridge that has the group and nothing else.
TEST_F(Bridge, IsFinishedWhereAHalfMadeOneOfOursIsThere) {
  shell("ip link add br-tenant-3 group " + std::to_string(kLinkGroup) + " type bridge stp_state 1");
  make(bridge_task(Op::kMake, 3));
  const auto link = shell_json("ip -d -j link show br-tenant-3").at(0);
  EXPECT_EQ(0, link["linkinfo"]["info_data"]["stp_state"]);
  EXPECT_TRUE(shell("ip address show br-tenant-3").contains("10.240.3.1/24"));
}

// Strict on the bridge and loose for all is loose: a tenant could send as somebody outside, past the dead end.
TEST_F(Bridge, IsNotMadeWhereTheHostLoosensTheReversePath) {
  shell("echo 2 > /proc/sys/net/ipv4/conf/all/rp_filter");
  const std::string before = whole_state();
  const wire::Answer answer = run(bridge_task(Op::kMake, 3));
  EXPECT_EQ(Errc::kUnsupported, answer.error.code);
  EXPECT_TRUE(answer.error.on.contains("rp_filter")) << answer.error.on;
  EXPECT_EQ(before, whole_state());
  shell("echo 1 > /proc/sys/net/ipv4/conf/all/rp_filter");
  make(bridge_task(Op::kMake, 3));
}

TEST_F(Bridge, IsNotMadeOverAForeignLinkOfThatName) {
  shell("ip link add br-tenant-3 type bridge");
  const std::string before = whole_state();
  const wire::Answer answer = run(bridge_task(Op::kMake, 3));
  EXPECT_FALSE(answer.ok);
  EXPECT_EQ(Errc::kExists, answer.error.code);
  EXPECT_EQ(before, whole_state());
}

TEST_F(Bridge, IsNotDeletedWhereItIsForeign) {
  shell("ip link add br-tenant-3 type bridge");
  make(bridge_task(Op::kUnmake, 3));
  EXPECT_TRUE(shell("ip link show br-tenant-3").contains("br-tenant-3"));
}

TEST_F(Bridge, CanBeRemovedTwice) {
  const std::string before = whole_state();
  make(bridge_task(Op::kMake, 3));
  make(bridge_task(Op::kUnmake, 3));
  make(bridge_task(Op::kUnmake, 3));
  EXPECT_EQ(before, whole_state());
}

// Were the elements removed before the tables, a death in between would leave tables that no inventory shows.
TEST_F(Bridge, TakesTheTablesWithItInOneTransactionWhenItIsTheLast) {
  make(bridge_task(Op::kMake, 3));
  shell("timeout 5 nft monitor > /tmp/mvm-net-monitor.$PPID 2>&1 & sleep 0.3");
  make(bridge_task(Op::kUnmake, 3));
  const std::string seen = shell("sleep 0.3; cat /tmp/mvm-net-monitor.$PPID; rm /tmp/mvm-net-monitor.$PPID");
  EXPECT_TRUE(seen.contains("delete table inet mvm")) << seen;
  EXPECT_EQ(seen.find("# new generation"), seen.rfind("# new generation")) << seen;
}

TEST_F(Bridge, IsNotRemovedWithATapOnIt) {
  make(bridge_task(Op::kMake, 3));
  make(tap_task(Op::kMake, 3, 5));
  const wire::Answer answer = run(bridge_task(Op::kUnmake, 3));
  EXPECT_EQ(Errc::kBusy, answer.error.code);
  EXPECT_TRUE(answer.error.on.contains("tn3i5")) << answer.error.on;
  EXPECT_TRUE(shell("ip link show br-tenant-3 up").contains("br-tenant-3"));
}

// Another's table has the name of the second: the kernel refuses that one message, after the first table.
TEST_F(Bridge, IsNotHalfMadeWhereTheKernelRefusesOneMessageOfManyInATransaction) {
  shell("nft add table bridge mvm");
  const std::string before = whole_state();
  const wire::Answer answer = run(bridge_task(Op::kMake, 3));
  EXPECT_FALSE(answer.ok);
  EXPECT_TRUE(answer.error.tried.contains("add the table")) << answer.error.message();
  EXPECT_NE(0, answer.error.sys_errno);
  EXPECT_EQ(before, whole_state());
}

}  // namespace
}  // namespace mvm::net
