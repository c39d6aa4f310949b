// A node as the net worker makes it is sound; what anybody then changes with ip, bridge, nft or a sysctl is found.
#include <linux/bpf.h>
#include <linux/netfilter.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/derived.h"
#include "base/fd.h"
#include "net-verify/read/read.h"
#include "net-verify/verify.h"
#include "tests/net/net_fixture.h"

namespace mvm::verify {
namespace {

using net::bridge_task;
using net::rule_task;
using net::shell;
using net::subnet_of;
using net::tap_task;
using wire::Op;

constexpr std::uint16_t kOne = 3, kOther = 4;  // net ids: "acme", which may leave, and "bran", which may not

// Two tenants, of two taps and one; a host that forwards, with an uplink behind which all else is.
class Node : public net::InANamespace {
 protected:
  void SetUp() override {
    InANamespace::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    shell("echo 1 > /proc/sys/net/ipv4/ip_forward");
    shell("ip tuntap add up0 mode tap; ip address add 192.0.2.1/24 dev up0; ip link set up0 up; ip route add default via 192.0.2.9");
    for (const std::uint16_t net : {kOne, kOther}) make(bridge_task(Op::kMake, net));
    for (const auto& [net, slot] : {std::pair{kOne, 3U}, {kOne, 4U}, {kOther, 3U}}) make(tap_task(Op::kMake, net, slot));
    make(rule_task(Op::kMake, kOne, lang::kEgressNat));
    expected_.cidr = net::kCidr;
    expected_.tenants[kOne] = {*Name::from("acme"), kOne, true, subnet_of(kOne), lang::kEgressNat, {3, 4}};
    expected_.tenants[kOther] = {*Name::from("bran"), kOther, true, subnet_of(kOther), std::nullopt, {3}};
  }

  Report look() const {
    const Result<Snapshot> snapshot = read_network();
    EXPECT_TRUE(snapshot) << snapshot.error().message();
    return snapshot ? verify(*snapshot, expected_) : Report{};
  }

  static std::string text(const Report& report) {
    std::string all;
    for (const Finding& finding : report.findings) {
      all += finding.check + ": " + finding.what + (finding.doubt.empty() ? "" : " DOUBT " + finding.doubt) + "\n   ";
      for (const auto& [field, value] : finding.packet) all += " " + field + "=" + value;
      for (const std::string& step : finding.path) all += "\n      " + step;
      all += "\n";
    }
    for (const Unsure& unsure : report.cannot_tell) all += "cannot tell: " + unsure.what + "\n";
    return all;
  }

  static bool has(const Report& report, const std::string& check, const std::string& words = {}) {
    return std::ranges::any_of(report.findings, [&](const Finding& finding) {
      return finding.check == check && finding.doubt.empty() && finding.what.contains(words);
    });
  }

  // It was sound, it is broken, and that is found.
  void breaks(const std::string& command, const std::string& check, const std::string& words = {}) {
    const Report before = look();
    ASSERT_EQ(Answer::kSound, before.answer()) << text(before);
    shell(command);
    const Report after = look();
    EXPECT_EQ(Answer::kFinding, after.answer()) << command;
    EXPECT_TRUE(has(after, check, words)) << command << "\n" << text(after);
  }

  Expected expected_;
};

TEST_F(Node, AsItIsMadeIsSound) {
  const Report report = look();
  EXPECT_EQ(Answer::kSound, report.answer()) << text(report);
  EXPECT_EQ(3U, report.taps);
}

// What keeps tenants apart: nftables' forwarding, the bridges' own rule, and routing. Each alone is enough.
constexpr const char* kNoForwarding = "nft flush chain inet mvm from; nft add rule inet mvm from accept; nft flush chain inet mvm to";
constexpr const char* kNoBridgeRule = "nft flush chain bridge mvm input; nft add rule bridge mvm input accept";
constexpr const char* kNoRouting = "ip rule | sed -n 's/^\\(7[0-9]\\):.*/\\1/p' | while read p; do ip rule del pref $p; done";

TEST_F(Node, KeepsTenantsApartByRoutingAlone) {
  shell(std::string(kNoForwarding) + "; " + kNoBridgeRule);
  const Report report = look();
  EXPECT_FALSE(has(report, "other-tenant")) << text(report);
}

TEST_F(Node, KeepsTenantsApartByRulesAlone) {
  shell(kNoRouting);
  const Report report = look();
  EXPECT_EQ(Answer::kSound, report.answer()) << text(report);
}

TEST_F(Node, WithNeitherRulesNorRoutingLetsTenantsReachEachOther) {
  breaks(std::string(kNoForwarding) + "; " + kNoBridgeRule + "; " + kNoRouting, "other-tenant", "tenant net 4 is reached from tenant net 3");
  const Report report = look();
  const auto finding = std::ranges::find(report.findings, "other-tenant", &Finding::check);
  ASSERT_NE(report.findings.end(), finding);
  EXPECT_EQ("sent into tn3i3", finding->path.front());
  EXPECT_EQ("out by br-tenant-4", finding->path.back());
  const auto field = [&](const std::string& name) {
    for (const auto& [key, value] : finding->packet)
      if (key == name) return value;
    return std::string();
  };
  EXPECT_EQ("10.240.3.3", field("ip saddr"));
  EXPECT_TRUE(field("ip daddr").starts_with("10.240.4.")) << text(report);
}

TEST_F(Node, WhoseInputRuleIsGoneIsReachedItself) { breaks("nft flush chain inet mvm input", "host", "the host is reached from tenant net 3"); }

TEST_F(Node, WithARuleBeforeOursThatAcceptsIsReached) {
  breaks("nft insert rule inet mvm input iifname br-tenant-3 tcp dport 22 accept", "host");
  const Report report = look();
  const auto finding = std::ranges::find(report.findings, "host", &Finding::check);
  ASSERT_NE(report.findings.end(), finding);
  EXPECT_TRUE(text(report).contains("dport=22")) << text(report);
}

TEST_F(Node, WhoseGuardIsGoneLetsFramesThroughThatAreNotTheSlots) { breaks("nft flush chain bridge mvm prerouting", "forged", "tn3i3"); }

TEST_F(Node, WithASourceTooManyLetsForgedFramesThrough) {
  breaks("nft add element bridge mvm sources '{ tn3i3 . 06:6d:00:30:00:03 . 10.240.3.9 }'", "forged", "tn3i3");
  EXPECT_TRUE(text(look()).contains("10.240.3.9"));
}

TEST_F(Node, WithIpv6BeforeTheGuardLetsItThrough) { breaks("nft insert rule bridge mvm guard ether type ip6 accept", "forged"); }

TEST_F(Node, WithVlanTagsBeforeTheGuardLetsThemThrough) { breaks("nft insert rule bridge mvm guard ether type vlan accept", "forged"); }

TEST_F(Node, WhoseTapLeftTheGroupIsNotGuarded) { breaks("ip link set tn3i3 group 0", "forged", "tn3i3"); }

TEST_F(Node, WhoseBridgeLeftTheGroupIsReached) { breaks("ip link set br-tenant-3 group 0", "host"); }

TEST_F(Node, WithEgressForWhoHasNoneLetsPacketsOut) {
  breaks("nft add element inet mvm egress '{ br-tenant-4 : accept }'", "outside", "tenant net 4 has no egress");
}

TEST_F(Node, WhoseClosedSetIsEmptyAndThatDoesNotRouteReachesOtherNodes) {
  breaks(std::string("nft flush set inet mvm closed; nft flush set bridge mvm closed; ") + kNoRouting, "cluster", "up0");
}

// What the policy closes is read from it again here, and held against what leaves.
TEST_F(Node, WhoseClosedSetsLackWhatThePolicyClosesLetsPacketsOutToIt) {
  lang::Document state, policy;
  state.kind = lang::Kind::kState, policy.kind = lang::Kind::kPolicy;
  const auto subnet_line = [&](lang::Word word, Subnet subnet) {
    lang::Statement line;
    line.word = word;
    line.numbers[0] = subnet.packed();
    policy.statements.push_back(line);
  };
  constexpr Subnet kOpen{192U << 24 | 168U << 16 | 7U << 8, 24}, kShut{198U << 24 | 51U << 16 | 100U << 8, 24};
  subnet_line(lang::Word::kCidr, net::kCidr);
  subnet_line(lang::Word::kEgress, kOpen);
  subnet_line(lang::Word::kClosed, kShut);
  expected_.closed = Expected::from(state, &policy)->closed;
  EXPECT_TRUE(has(look(), "closed")) << "the rules are another policy's";
  wire::Task bridge = bridge_task(Op::kMake, kOne);
  bridge.egress = {kOpen}, bridge.closed = {kShut};
  make(bridge);
  breaks("for f in inet bridge; do nft delete element $f mvm closed '{ 198.51.100.0/24 }'; done", "closed", "up0");
  EXPECT_TRUE(text(look()).contains("ip daddr=198.51.100.0 - 198.51.100.255")) << text(look());
  make(bridge);
  breaks("for f in inet bridge; do nft delete element $f mvm closed '{ 169.254.0.0/16 }'; done", "closed", "up0");
  make(bridge);
  breaks("for f in inet bridge; do nft delete element $f mvm closed '{ 172.16.0.0/12 }'; done", "closed", "up0");
}

TEST_F(Node, WithAnotherTenantsTapOnABridge) { breaks("ip link set tn4i3 master br-tenant-3", "port", "another tenant's bridge"); }

TEST_F(Node, WithAnotherTenantsTapOnABridgeIsReachedThroughIt) {
  breaks("ip link set tn4i3 master br-tenant-3", "other-tenant", "tenant net 4 is reached from tenant net 3");
}

TEST_F(Node, WithATapOffItsBridge) { breaks("ip link set tn3i3 nomaster", "tap", "on no bridge"); }

TEST_F(Node, WithATapThatIsDown) { breaks("ip link set tn3i3 down", "tap", "is down"); }

TEST_F(Node, WithATapThatIsGone) { breaks("ip link del tn3i3", "tap", "is not there"); }

TEST_F(Node, WithATapThatTheStateDoesNotKnow) {
  breaks("ip tuntap add tn3i9 mode tap; ip link set tn3i9 master br-tenant-3 up", "unknown", "tn3i9");
}

TEST_F(Node, WithAForeignPort) { breaks("ip link set up0 master br-tenant-3", "port", "up0 (tun)"); }

TEST_F(Node, WithAVethOnABridge) {
  breaks("ip link add stray0 type veth peer name stray1; ip link set stray0 master br-tenant-3 up; ip link set stray1 up", "port", "stray0 (veth)");
}

TEST_F(Node, WithAVethBetweenTwoBridgesReachesTheOther) {
  breaks("ip link add stray0 type veth peer name stray1; ip link set stray0 master br-tenant-3 up; ip link set stray1 master br-tenant-4 up",
         "other-tenant", "tenant net 4 is reached from tenant net 3");
}

TEST_F(Node, WithAMacvlanOnABridge) { breaks("ip link add link br-tenant-3 name sub0 type macvlan", "stacked", "br-tenant-3"); }

TEST_F(Node, WithABridgeThatIsGone) { breaks("ip link del br-tenant-4", "bridge", "is not there"); }

TEST_F(Node, WithABridgeThatIsDown) { breaks("ip link set br-tenant-3 down", "bridge", "is down"); }

TEST_F(Node, WithABridgeOfAnotherMac) { breaks("ip link set br-tenant-3 address 02:00:00:00:00:09", "bridge", "02:00:00:00:00:09"); }

TEST_F(Node, WithASpanningTree) { breaks("ip link set br-tenant-3 type bridge stp_state 1", "bridge", "spanning tree"); }

TEST_F(Node, WithoutItsGateway) { breaks("ip address flush dev br-tenant-3", "address", "lacks its gateway"); }

TEST_F(Node, WithASecondAddressOnABridge) { breaks("ip address add 198.51.100.1/24 dev br-tenant-3", "address", "198.51.100.1/24"); }

TEST_F(Node, WithAnAddressOnATap) { breaks("ip address add 198.51.100.1/24 dev tn3i3", "address", "tn3i3"); }

TEST_F(Node, WithAnAddressOfASubnetElsewhere) { breaks("ip address add 10.240.3.77/32 dev up0", "subnet", "up0"); }

TEST_F(Node, WithARouteOfASubnetElsewhere) { breaks("ip route add 10.240.3.64/26 dev up0 table 99", "subnet", "10.240.3.64/26"); }

TEST_F(Node, WithSettingsThatOpenIt) {
  const struct {
    const char *setting, *value;
  } kBreaks[] = {{"accept_redirects", "1"}, {"send_redirects", "1"}, {"accept_source_route", "1"}, {"proxy_arp", "1"},
                 {"proxy_arp_pvlan", "1"},  {"accept_local", "1"},   {"route_localnet", "1"},      {"rp_filter", "0"},
                 {"arp_ignore", "0"}};
  shell("cd /proc/sys/net/ipv4/conf/all; echo 1 > accept_source_route; echo 1 > accept_redirects; echo 0 > rp_filter");
  for (const auto& [setting, value] : kBreaks) {
    const std::string file = std::string("/proc/sys/net/ipv4/conf/br-tenant-3/") + setting;
    const std::string before = shell("cat " + file);
    breaks(std::string("echo ") + value + " > " + file, "setting", setting);
    shell("echo " + before.substr(0, before.size() - 1) + " > " + file);
  }
}

TEST_F(Node, WhoseRulesAreAllGone) { breaks("nft flush ruleset", "host"); }

TEST_F(Node, WithADestinationThatIsTranslatedToTheHostStillDropsIt) {
  shell("nft add table ip foreign; nft add chain ip foreign pre '{ type nat hook prerouting priority dstnat; }';"
        "nft add rule ip foreign pre tcp dport 80 dnat to 192.0.2.1");
  const Report report = look();
  EXPECT_EQ(Answer::kSound, report.answer()) << text(report);
}

TEST_F(Node, WithForeignTablesThatAcceptIsStillSound) {
  shell("nft add table inet foreign; nft add chain inet foreign f '{ type filter hook forward priority -300; policy accept; }';"
        "nft add rule inet foreign f ct state established,related accept; nft add rule inet foreign f counter accept");
  const Report report = look();
  EXPECT_EQ(Answer::kSound, report.answer()) << text(report);
}

TEST_F(Node, WithAMarkThatRoutesAroundTheDeadEndIsFollowed) {
  shell(std::string(kNoForwarding) + "; " + kNoBridgeRule);
  shell("nft add table inet foreign; nft add chain inet foreign pre '{ type filter hook prerouting priority mangle; }';"
        "nft add rule inet foreign pre ip daddr 10.240.4.3 meta mark set 7; ip rule add pref 50 fwmark 7 lookup main");
  const Report report = look();
  EXPECT_TRUE(has(report, "other-tenant")) << text(report);
}

// What is not modelled on a path is never sound.
class CannotTell : public Node, public testing::WithParamInterface<std::pair<const char*, const char*>> {};

TEST_P(CannotTell, WhereSomethingIsNotModelled) {
  const auto& [command, words] = GetParam();
  ASSERT_EQ(Answer::kSound, look().answer());
  shell(command);
  const Report report = look();
  EXPECT_EQ(Answer::kCannotTell, report.answer()) << text(report);
  EXPECT_TRUE(text(report).contains(words)) << text(report);
}

INSTANTIATE_TEST_SUITE_P(
    Node, CannotTell,
    testing::Values(std::pair{"tc qdisc add dev tn3i3 clsact", "tc clsact is attached to tn3i3"},
                    std::pair{"tc qdisc add dev br-tenant-3 ingress", "tc ingress is attached to br-tenant-3"},
                    std::pair{"nft add table netdev foreign; nft add chain netdev foreign in '{ type filter hook ingress device tn3i3 priority 0; }';"
                              "nft add rule netdev foreign in dup to up0",
                              "\"dup\" is not modelled"},
                    std::pair{"nft add table netdev foreign; nft add chain netdev foreign in '{ type filter hook ingress device tn3i3 priority 0; }';"
                              "nft add rule netdev foreign in fwd to br-tenant-4",
                              "\"fwd\" is not modelled"},
                    std::pair{"nft insert rule inet mvm input socket transparent 1 accept", "DOUBT"},
                    std::pair{"ip nexthop add id 9 blackhole; ip route add 198.51.100.0/24 nhid 9", "of a kind that is not modelled"}));

// All that a tap can send is first followed in one box, and each by itself only where something of that box arrives: what no guest can
// send (from DHCP's port) is in the box, and must not be in the answer.
TEST_F(Node, IsSoundWhereARuleLetsInWhatNoGuestCanSend) {
  shell("nft insert rule inet mvm input iifname br-tenant-3 udp sport 67 accept");
  const Report report = look();
  EXPECT_EQ(Answer::kSound, report.answer()) << text(report);
  breaks("nft insert rule inet mvm input iifname br-tenant-3 udp sport 66-67 accept", "host");
}

TEST_F(Node, IsSoundWhereARuleThatIsNotModelledMeetsWhatNoGuestCanSend) {
  shell("nft insert rule inet mvm input iifname br-tenant-3 udp sport 67 udp dport set 5");
  shell("nft insert rule inet mvm forward iifname br-tenant-3 udp sport 67 udp dport set 5");
  shell("nft add table bridge foreign; nft add chain bridge foreign in '{ type filter hook input priority -5; }';"
        "nft add rule bridge foreign in udp sport 67 udp dport set 5");
  const Report report = look();
  EXPECT_EQ(Answer::kSound, report.answer()) << text(report);
  shell("nft insert rule inet mvm forward iifname br-tenant-3 udp sport 66-67 udp dport set 5");
  EXPECT_EQ(Answer::kCannotTell, look().answer()) << text(look());
}

TEST_F(Node, TellsOfRulesOfTheArpFamilyThatAreNotModelled) {
  shell("nft add table arp foreign; nft add chain arp foreign in '{ type filter hook input priority 0; }'; nft add rule arp foreign in arp operation reply drop");
  EXPECT_EQ(Answer::kSound, look().answer()) << text(look());
  shell("nft add rule arp foreign in arp saddr ip set 10.240.4.3");
  const Report report = look();
  EXPECT_EQ(Answer::kCannotTell, report.answer());
  EXPECT_TRUE(text(report).contains("arp foreign in")) << text(report);
}

// Steps for each tap stay few, however many others there are.
TEST_F(Node, WithAThousandTapsOf64TenantsIsSoundWithinTheWorkOfOneQuestion) {
  constexpr std::uint16_t kTenants = 64;
  constexpr std::uint32_t kTaps = 1000;
  for (std::uint32_t i = 0; i < kTaps; ++i) {
    const auto net = static_cast<std::uint16_t>(10 + i % kTenants);
    const std::uint32_t slot = 3 + i / kTenants;
    if (slot == 3) {
      make(bridge_task(Op::kMake, net));
      make(rule_task(Op::kMake, net, lang::kEgressNat));
      expected_.tenants[net] = {*Name::from("tenant-" + std::to_string(net)), net, true, subnet_of(net), lang::kEgressNat, {}};
    }
    make(tap_task(Op::kMake, net, slot));
    expected_.tenants[net].slots.insert(slot);
  }
  const Report report = look();
  EXPECT_EQ(Answer::kSound, report.answer()) << text(report);
  EXPECT_EQ(kTaps + 3, report.taps);
}

// A BPF program on a hook of netfilter's (since 6.4); it lets all through here, and nobody can know that.
class Program {
 public:
  explicit Program(std::uint32_t hook) {
    const bpf_insn returns_one[] = {{BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 1}, {BPF_JMP | BPF_EXIT, 0, 0, 0, 0}};
    bpf_attr load{};
    load.prog_type = 32;             // BPF_PROG_TYPE_NETFILTER
    load.expected_attach_type = 45;  // BPF_NETFILTER
    load.insns = reinterpret_cast<std::uintptr_t>(returns_one);
    load.insn_cnt = std::size(returns_one);
    load.license = reinterpret_cast<std::uintptr_t>("GPL");
    program_ = Fd(static_cast<int>(syscall(SYS_bpf, BPF_PROG_LOAD, &load, sizeof load)));
    // union bpf_attr: program, target, attach_type, flags; netfilter: family, hook, priority, flags
    std::uint32_t link[32] = {static_cast<std::uint32_t>(program_.get()), 0, 45, 0, NFPROTO_IPV4, hook, 0, 0};
    if (program_.valid()) link_ = Fd(static_cast<int>(syscall(SYS_bpf, BPF_LINK_CREATE, link, sizeof link)));
  }
  [[nodiscard]] bool attached() const { return link_.valid(); }

 private:
  Fd program_, link_;
};

TEST_F(Node, WithAProgramOnAHookCannotTell) {
  ASSERT_EQ(Answer::kSound, look().answer()) << text(look());
  {
    const Program program(NF_INET_PRE_ROUTING);
    if (!program.attached()) GTEST_SKIP() << "this kernel has no BPF on netfilter's hooks: " << std::strerror(errno);
    const Report report = look();
    EXPECT_EQ(Answer::kCannotTell, report.answer()) << text(report);
    EXPECT_TRUE(text(report).contains("hangs on hook 0 of ip")) << text(report);
  }
  EXPECT_EQ(Answer::kSound, look().answer()) << text(look());
}

}  // namespace
}  // namespace mvm::verify
