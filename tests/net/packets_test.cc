// Frames through real taps, bridges and rules: what must pass, what must not, and that each rule is what stops it.
#include <sys/socket.h>

#include <netinet/in.h>

#include <array>

#include "broker/net/ruleset.h"
#include "tests/net/packets_fixture.h"

namespace mvm::net {
namespace {

using wire::Op;

// A socket of the host's that would hear a guest.
class Listener {
 public:
  Listener() : fd_(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in any{};
    any.sin_family = AF_INET;
    any.sin_port = htons(kPort);
    EXPECT_EQ(0, bind(fd_.get(), reinterpret_cast<sockaddr*>(&any), sizeof any));
    const timeval patience{0, kNever * 1000};
    EXPECT_EQ(0, setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience));
  }
  bool hears() const {
    std::array<char, 64> buffer;
    return recv(fd_.get(), buffer.data(), buffer.size(), 0) > 0;
  }

 private:
  Fd fd_;
};

TEST_F(Packets, AcrossTenantsAreDroppedAndWithoutTheRulesWouldPass) {
  EXPECT_FALSE(reaches_stranger());
  make(rule_task(Op::kMake, kOne, lang::kEgressNat));
  make(rule_task(Op::kMake, kOther, lang::kEgressNat));
  EXPECT_FALSE(reaches_stranger()) << "with egress for both";
}

// Routing and nftables, each alone and neither: two mechanisms that do not know each other.
TEST_F(Packets, AcrossTenantsAreStoppedByRoutingAloneAndByTheRulesAlone) {
  shell("ip route add 192.0.2.66 dev up0");  // so that the reverse path has something to find
  const std::uint32_t target = address(kOther, 3);
  const auto crosses = [&](int wait) {
    bool seen = false;
    // Of its own address, of another's, of another tenant's, of nobody's.
    for (const std::uint32_t source : {address(kOne, 3), address(kOne, 9), address(kOther, 9), kElsewhere, kOutside + 57}) {
      a_->send(udp_frame({instance_mac(kOne, 3), instance_mac(kOne, 1), source, target}, 1, kPort));
      seen |= stranger_->first(udp_to(target), wait).has_value();
    }
    return seen;
  };
  EXPECT_FALSE(crosses(kNever)) << "with both";
  shell("nft delete table bridge mvm; nft delete table inet mvm");
  EXPECT_FALSE(crosses(kNever)) << "by routing alone";
  shell("for p in 71 72 74 75; do ip rule del pref $p; done; ip rule del pref 73; ip rule del pref 73");
  EXPECT_TRUE(crosses(kSoon / 10)) << "this test could not see a leak";
}

TEST_F(Packets, AcrossTenantsAreStoppedByTheRulesWithoutRouting) {
  shell("for p in 71 72 74 75; do ip rule del pref $p; done; ip rule del pref 73; ip rule del pref 73");
  make(rule_task(Op::kMake, kOne, lang::kEgressNat));
  make(rule_task(Op::kMake, kOther, lang::kEgressNat));
  EXPECT_FALSE(reaches_stranger());
  shell("nft flush chain inet mvm from; nft flush chain inet mvm to");
  EXPECT_FALSE(reaches_stranger()) << "not stopped at the tap";
  shell("nft flush set bridge mvm closed");
  EXPECT_TRUE(reaches_stranger(kSoon)) << "this test could not see a leak";
}

// The dead end is for what is from the cluster; that a tenant cannot send as somebody outside of it is the reverse path's.
TEST_F(Packets, FromAddressesOutsideOfItsSubnetAreStoppedByTheReversePathAlone) {
  const Frame spoofed = udp_frame({instance_mac(kOne, 3), instance_mac(kOne, 1), kElsewhere, address(kOther, 3)}, 1, kPort);
  shell("nft delete table bridge mvm; nft delete table inet mvm");
  a_->send(spoofed);
  EXPECT_FALSE(stranger_->first(udp_to(address(kOther, 3)), kNever));
  shell("echo 0 > /proc/sys/net/ipv4/conf/br-tenant-3/rp_filter; echo 0 > /proc/sys/net/ipv4/conf/all/rp_filter");
  a_->send(spoofed);
  EXPECT_TRUE(stranger_->first(udp_to(address(kOther, 3)), kSoon)) << "this test could not see one that crossed";
}

TEST_F(Packets, AcrossTenantsAreDroppedEvenAsAnswers) {
  make(rule_task(Op::kMake, kOne, lang::kEgressNat));
  make(rule_task(Op::kMake, kOther, lang::kEgressNat));
  // With the rule for the one direction gone, a connection of the other's own making is established; its answers are not.
  // So is the dead end: the rules alone are what is looked at.
  shell("nft insert rule inet mvm from iifname br-tenant-4 oifname br-tenant-3 accept; ip rule del pref 73; ip rule del pref 73; ip rule del pref 74; "
        "nft flush set bridge mvm closed");
  stranger_->send(udp_frame({instance_mac(kOther, 3), instance_mac(kOther, 1), address(kOther, 3), address(kOne, 3)}, kPort, 1));
  ASSERT_TRUE(a_->first([](const Frame& frame) { return read_udp(frame).has_value(); }, kSoon));
  EXPECT_FALSE(reaches_stranger());
}

TEST_F(Packets, WithinATenantPassWhetherOrNotBridgedPacketsAreFiltered) {
  if (access("/proc/sys/net/bridge/bridge-nf-call-iptables", W_OK) != 0) GTEST_SKIP() << "this kernel has no br_netfilter loaded";
  for (const char* on : {"0", "1"}) {
    shell(std::string("cd /proc/sys/net/bridge; for s in iptables ip6tables arptables; do echo ") + on + " > bridge-nf-call-$s; done");
    EXPECT_TRUE(passes_within()) << on;
    EXPECT_FALSE(reaches_stranger()) << on;
  }
  shell("nft flush set inet mvm within");
  EXPECT_FALSE(passes_within()) << "the element in `within` is not what lets them pass";
}

TEST_F(Packets, ToTheHostAreDroppedAtAnyOfItsAddresses) {
  const Listener listener;
  for (const std::uint32_t target : {gateway_address(subnet_of(kOne)), gateway_address(subnet_of(kOther)), kUplink}) {
    a_->send(udp_frame(routed(target), 1, kPort));
    EXPECT_FALSE(listener.hears()) << ipv4_to_string(target);
  }
  shell("nft flush chain inet mvm input");
  for (const std::uint16_t net : {kOne, kOther}) {
    a_->send(udp_frame(routed(gateway_address(subnet_of(net))), 1, kPort));
    EXPECT_FALSE(listener.hears()) << "the gateway of net " << net << ": not stopped at the tap";
  }
  shell("nft flush set bridge mvm closed");
  a_->send(udp_frame(routed(gateway_address(subnet_of(kOne))), 1, kPort));
  EXPECT_TRUE(listener.hears()) << "this test could not see a packet that got through";
}

TEST_F(Packets, LeaveNotAtAllWithoutARuleAndWithEgressNone) {
  EXPECT_FALSE(gets_out(kOutside));
  make(rule_task(Op::kMake, kOne, lang::kEgressNone));
  EXPECT_FALSE(gets_out(kOutside));
}

TEST_F(Packets, LeaveAsTheHostWithEgressNatAndAreAnswered) {
  make(rule_task(Op::kMake, kOne, lang::kEgressNat));
  const std::optional<Frame> left = gets_out(kOutside, 77);
  ASSERT_TRUE(left);
  const UdpSeen seen = *read_udp(*left);
  EXPECT_EQ(kUplink, seen.source) << "not masqueraded";
  Mac host_mac{};
  std::copy(left->begin() + 6, left->begin() + 12, host_mac.begin());
  uplink_->send(udp_frame({kOutsideMac, host_mac, kOutside, kUplink}, kPort, seen.source_port));
  const auto answer = a_->first([](const Frame& frame) { return read_udp(frame) && read_udp(frame)->source == kOutside; }, kSoon);
  ASSERT_TRUE(answer);
  EXPECT_EQ(address(kOne, 3), read_udp(*answer)->target);
  EXPECT_EQ(77, read_udp(*answer)->target_port);
}

// What conntrack makes nothing of would leave under the tenant's own address, and past what counts connections.
TEST_F(Packets, ThatConntrackMakesNothingOfDoNotLeave) {
  make(rule_task(Op::kMake, kOne, lang::kEgressNat));
  Frame broken = udp_frame(routed(kOutside), 77, kPort);
  broken[40] = 0x12;  // a checksum of UDP that is not right
  a_->send(broken);
  EXPECT_FALSE(uplink_->first(udp_to(kOutside), kNever));
  shell("nft insert rule inet mvm from ct state invalid accept");
  a_->send(broken);
  EXPECT_TRUE(uplink_->first(udp_to(kOutside), kSoon)) << "this test could not see one that left";
}

TEST_F(Packets, FromOutsideComeInOnlyAsAnswers) {
  make(rule_task(Op::kMake, kOne, lang::kEgressNat));
  const std::optional<Frame> left = gets_out(kOutside);
  ASSERT_TRUE(left);
  Mac host_mac{};
  std::copy(left->begin() + 6, left->begin() + 12, host_mac.begin());
  const Frame uninvited = udp_frame({kOutsideMac, host_mac, kOutside, address(kOne, 4)}, 5, kPort);
  uplink_->send(uninvited);
  EXPECT_FALSE(b_->first(udp_to(address(kOne, 4)), kNever));
  shell("nft flush chain inet mvm to");
  uplink_->send(uninvited);
  EXPECT_TRUE(b_->first(udp_to(address(kOne, 4)), kSoon)) << "this test could not see a packet that got in";
}

TEST_F(Packets, ToTheClusterAndToMetadataStayInsideWithEgressNat) {
  make(rule_task(Op::kMake, kOne, lang::kEgressNat));
  const std::uint32_t other_node = slot_address(subnet_of(9), 9);
  EXPECT_FALSE(gets_out(other_node));
  EXPECT_FALSE(gets_out(kMetadata));
  EXPECT_TRUE(gets_out(kElsewhere));
  shell("nft flush set inet mvm closed");
  EXPECT_FALSE(gets_out(other_node)) << "not stopped at the tap";
  EXPECT_FALSE(gets_out(kMetadata)) << "not stopped at the tap";
  shell("nft flush set bridge mvm closed");
  EXPECT_FALSE(gets_out(other_node)) << "not stopped by routing";
  shell("ip rule del pref 73; ip rule del pref 73; ip rule del pref 74");
  EXPECT_TRUE(gets_out(other_node)) << "this test could not see one that left";
  EXPECT_TRUE(gets_out(kMetadata)) << "this test could not see one that left";
}

// At the tap, and where the host forwards; each alone.
TEST_F(Packets, ToPrivateRangesAndToWhatThePolicyClosesStayInside) {
  constexpr std::uint32_t kPrivate[] = {10U << 24 | 9, 100U << 24 | 64U << 16 | 9, 172U << 24 | 31U << 16 | 9, 192U << 24 | 168U << 16 | 7U << 8 | 9};
  make(rule_task(Op::kMake, kOne, lang::kEgressNat));
  for (const std::uint32_t target : kPrivate) EXPECT_FALSE(gets_out(target)) << ipv4_to_string(target);
  EXPECT_TRUE(gets_out(kElsewhere));
  wire::Task policy = bridge_task(Op::kMake, kOne);
  policy.closed = {{kElsewhere & ~0xffU, 24}};
  policy.egress = {{kPrivate[3] & ~0xffU, 24}};
  make(policy);
  EXPECT_FALSE(gets_out(kElsewhere)) << "closed by a line of the policy";
  EXPECT_TRUE(gets_out(kPrivate[3])) << "opened by a line of the policy";
  EXPECT_FALSE(gets_out(kPrivate[3] + 256));
  const auto reached = [&] {
    std::vector<std::string> all;
    for (const std::uint32_t target : {kPrivate[0], kPrivate[1], kPrivate[2], kElsewhere})
      if (gets_out(target)) all.push_back(ipv4_to_string(target));
    return all;
  };
  shell("nft flush set inet mvm closed");
  EXPECT_EQ(std::vector<std::string>{}, reached()) << "not stopped at the tap";
  make(policy);
  shell("nft flush set bridge mvm closed");
  EXPECT_EQ(std::vector<std::string>{}, reached()) << "not stopped where the host forwards";
  shell("nft flush set inet mvm closed");
  EXPECT_EQ(4U, reached().size()) << "this test could not see one that left";
}

TEST_F(Packets, ReachTheListAloneWithEgressListed) {
  make(rule_task(Op::kMake, kOne, lang::kEgressListed));
  EXPECT_TRUE(gets_out(kOutside));
  EXPECT_FALSE(gets_out(kElsewhere));
}

TEST_F(Packets, StopAsSoonAsTheRuleIsGone) {
  make(rule_task(Op::kMake, kOne, lang::kEgressNat));
  ASSERT_TRUE(gets_out(kOutside));
  make(rule_task(Op::kUnmake, kOne, lang::kEgressNat));
  EXPECT_FALSE(gets_out(kOutside)) << "the connection was established, the right to it is gone";
}

TEST_F(Packets, AreLimitedInNumberAndInLengthAndInNewConnections) {
  std::uint16_t source_port = 100;  // each its own connection, each time
  const auto burst = [&](int count = 100, std::uint16_t payload = 4) {
    Ends ends = routed(kOutside);
    ends.payload = payload;
    for (int i = 0; i < count; ++i) a_->send(udp_frame(ends, source_port++, kPort));
    return uplink_->count(udp_to(kOutside), 300);
  };
  make(rule_task(Op::kMake, kOne, lang::kEgressNat));
  EXPECT_EQ(100, burst());
  for (const char* field : {"pps", "cps"}) {
    wire::Task limited = rule_task(Op::kMake, kOne, lang::kEgressNat);
    limited.statement.numbers[lang::field_index(lang::Word::kRule, field)] = 10;
    make(limited);
    const int passed = burst();
    EXPECT_GE(passed, 5) << field;
    EXPECT_LE(passed, 12) << field;
  }
  wire::Task limited = rule_task(Op::kMake, kOne, lang::kEgressNat);
  limited.statement.numbers[lang::field_index(lang::Word::kRule, "mbps")] = 1;
  make(limited);
  const int passed = burst(400, 1400);  // 560 kB at once; a second and the burst are 256 kB
  EXPECT_GE(passed, 90);
  EXPECT_LE(passed, 250);
}

TEST_F(Packets, OfOneConnectionAreOneNewConnectionHoweverMany) {
  wire::Task limited = rule_task(Op::kMake, kOne, lang::kEgressNat);
  limited.statement.numbers[lang::field_index(lang::Word::kRule, "cps")] = 10;
  make(limited);
  for (int i = 0; i < 100; ++i) a_->send(udp_frame(routed(kOutside), 100, kPort));
  EXPECT_EQ(100, uplink_->count(udp_to(kOutside), 300));
}

// What one tenant opens does not fill the host's table.
TEST_F(Packets, OpenSoManyConnectionsAtOnceAndNoMore) {
  make(rule_task(Op::kMake, kOne, lang::kEgressNat));
  const auto connections = [] { return std::stoul(shell("cat /proc/sys/net/netfilter/nf_conntrack_count")); };
  const auto open = [&](std::uint32_t target) {
    for (std::uint32_t port = 0; port < kMostConnections + 200; ++port) a_->send(udp_frame(routed(target), static_cast<std::uint16_t>(port), kPort));
  };
  open(kOutside);
  EXPECT_LE(connections(), kMostConnections + 1);  // one may be the test's own
  EXPECT_GE(connections(), kMostConnections - 8) << "the kernel counts some twice until it looks again";
  make(rule_task(Op::kMake, kOther, lang::kEgressNat));
  stranger_->send(udp_frame({instance_mac(kOther, 3), instance_mac(kOther, 1), address(kOther, 3), kElsewhere}, 1, kPort));
  EXPECT_GT(uplink_->count(udp_to(kOutside), kNever), 0) << "makes room in the uplink's queue";
  stranger_->send(udp_frame({instance_mac(kOther, 3), instance_mac(kOther, 1), address(kOther, 3), kElsewhere}, 2, kPort));
  EXPECT_TRUE(uplink_->first(udp_to(kElsewhere), kSoon)) << "another tenant is not stopped by it";
  shell("nft flush set inet mvm flows");
  open(kElsewhere);
  EXPECT_GT(connections(), kMostConnections + 100) << "this test could not see more";
}

struct Forgery {
  const char* what;
  Frame frame;
};

// The guest's own MAC and address are the only ones that it may speak for.
TEST_F(Packets, ThatAreForgedAreDroppedAtTheTap) {
  const Mac own = instance_mac(kOne, 3), target = instance_mac(kOne, 4);
  const std::uint32_t gateway = gateway_address(subnet_of(kOne));
  const Ends honest = within();
  Frame gratuitous = arp_request({own, kBroadcast, gateway, gateway});
  Frame other_mac_inside = arp_request(honest);
  other_mac_inside[27] ^= 1;
  Frame ipv6(60, 0);  // RFC 8200: version, payload length, no next header, hop limit
  ipv6[0] = 0x60, ipv6[5] = 20, ipv6[6] = 59, ipv6[7] = 64;
  const std::vector<Forgery> forgeries = {
      {"another's MAC", udp_frame({instance_mac(kOne, 9), target, honest.source, honest.target}, 1, kPort)},
      {"another's address", udp_frame({own, target, address(kOne, 9), honest.target}, 1, kPort)},
      {"another's MAC and address", udp_frame({instance_mac(kOne, 9), target, address(kOne, 9), honest.target}, 1, kPort)},
      {"the gateway's address", udp_frame({own, target, gateway, honest.target}, 1, kPort)},
      {"a source route", with_option(udp_frame(honest, 1, kPort), {131, 7, 4, 10, 240, 4, 3, 0})},  // RFC 791: LSRR
      {"an option", with_option(udp_frame(honest, 1, kPort), {1, 1, 1, 0})},
      {"DHCP served by a guest", udp_frame(honest, 67, 68)},
      {"gratuitous ARP for the gateway", gratuitous},
      {"ARP with another MAC inside", other_mac_inside},
      {"ARP for another's address", arp_request({own, target, address(kOne, 9), honest.target})},
      {"IPv6", ethernet(own, target, 0x86dd, ipv6)},
      {"a VLAN tag", tagged(udp_frame(honest, 1, kPort), 5)},
      {"the priority tag", tagged(udp_frame(honest, 1, kPort), 0)},
      {"two VLAN tags", tagged(tagged(udp_frame(honest, 1, kPort), 5), 6)},
      {"raw 802.3", ethernet(own, target, 40, Frame(46, 0xaa))},
      {"an unknown type", ethernet(own, target, 0x88b5, Frame(46, 0xaa))},
      {"a bridge protocol unit", ethernet(own, {0x01, 0x80, 0xc2, 0, 0, 0}, 38, Frame(46, 0x42))},
  };
  for (const Forgery& forgery : forgeries) {
    const auto any_of_ours = [&](const Frame& frame) { return frame.size() >= 14 && std::equal(frame.begin() + 6, frame.begin() + 12, forgery.frame.begin() + 6); };
    EXPECT_TRUE(is_stopped(forgery.frame, any_of_ours)) << forgery.what;
  }
  shell("nft flush chain bridge mvm prerouting");
  for (const Forgery& forgery : forgeries) {
    // The guard of a bridge port takes the one, too, and br_netfilter the other, where it is loaded.
    if (forgery.frame[0] == 0x01 || forgery.what == std::string_view("a source route")) continue;
    const auto same = [&](const Frame& frame) { return frame.size() >= 14 && std::equal(frame.begin() + 6, frame.begin() + 12, forgery.frame.begin() + 6); };
    a_->send(forgery.frame);
    EXPECT_TRUE(b_->first(same, kSoon)) << "this test could not see " << forgery.what;
  }
}

// By a rule of their own: all else of the guard lets them through, where nothing else on this host looks at options (br_netfilter does).
TEST_F(Packets, WithASourceRouteAreStoppedByTheRuleOfOptionsAlone) {
  shell("[ ! -e /proc/sys/net/bridge/bridge-nf-call-iptables ] || echo 0 > /proc/sys/net/bridge/bridge-nf-call-iptables");
  for (const std::uint8_t kind : {std::uint8_t{131}, std::uint8_t{137}}) {  // RFC 791: loose and strict
    const Frame routes = with_option(udp_frame(within(), 1, kPort), {kind, 7, 4, 10, 240, 4, 3, 0});
    const auto with_options = [](const Frame& frame) { return frame.size() > 14 && frame[12] == 8 && frame[13] == 0 && (frame[14] & 15) > 5; };
    EXPECT_TRUE(is_stopped(routes, with_options)) << int{kind};
  }
  shell("nft delete rule bridge mvm guard handle $(nft -a list chain bridge mvm guard | sed -n 's/.*hdrlength.*handle //p')");
  for (const std::uint8_t kind : {std::uint8_t{131}, std::uint8_t{137}}) {
    const Frame routes = with_option(udp_frame(within(), 1, kPort), {kind, 7, 4, 10, 240, 4, 3, 0});
    a_->send(routes);
    EXPECT_TRUE(b_->first([](const Frame& frame) { return frame.size() > 14 && (frame[14] & 15) > 5; }, kSoon)) << "this test could not see a source route, " << int{kind};
  }
}

TEST_F(Packets, FromATapThatIsBeingRemovedAreDropped) {
  shell("ip link set tn3i3 group " + std::to_string(kLeavingGroup));
  EXPECT_FALSE(passes_within());
  shell("nft flush chain bridge mvm prerouting");
  EXPECT_TRUE(passes_within()) << "this test could not see one that passed";
}

// The host's own stack knows by the group who a packet is from: a bridge, or, of a frame to LLDP's address, the tap itself.
TEST_F(Packets, FromALinkThatIsBeingRemovedReachNeitherTheHostNorTheOutside) {
  const Listener listener;
  const auto heard = [&](const Mac& target, std::uint32_t host) {
    a_->send(udp_frame({instance_mac(kOne, 3), target, address(kOne, 3), host}, 1, kPort));
    return listener.hears();
  };
  const auto by_the_tap = [&] { return heard({0x01, 0x80, 0xc2, 0, 0, 0x0e}, gateway_address(subnet_of(kOne))); };
  const auto by_the_bridge = [&] { return heard(instance_mac(kOne, 1), kUplink); };
  shell("echo 0 > /proc/sys/net/ipv4/conf/tn3i3/rp_filter");  // it would stop them as well
  const std::string leaving = " group " + std::to_string(kLeavingGroup);
  shell("ip link set br-tenant-3" + leaving);
  EXPECT_FALSE(by_the_bridge());
  EXPECT_FALSE(gets_out(kOutside));
  shell("ip link set tn3i3" + leaving);
  EXPECT_FALSE(by_the_tap());
  shell("nft flush chain inet mvm input");
  EXPECT_TRUE(by_the_tap()) << "this test could not see one that got through";
  shell("ip link set tn3i3 group " + std::to_string(kLinkGroup));
  EXPECT_TRUE(by_the_bridge()) << "this test could not see one that got through";
  EXPECT_FALSE(gets_out(kOutside)) << "not stopped by `forward`";
  shell("nft flush chain inet mvm forward");
  EXPECT_TRUE(gets_out(kOutside)) << "this test could not see one that got through";
}

// To the other reserved addresses past the bridge's `prerouting`, so that of its rules only `input` is left.
TEST_F(Packets, FromATapThatIsBeingRemovedAreDroppedWhereTheBridgeTakesThemIn) {
  const Listener listener;
  shell("ip link set tn3i3 group " + std::to_string(kLeavingGroup) + "; echo 0 > /proc/sys/net/ipv4/conf/tn3i3/rp_filter");
  const auto heard = [&] {
    a_->send(udp_frame({instance_mac(kOne, 3), {0x01, 0x80, 0xc2, 0, 0, 0x03}, address(kOne, 3), gateway_address(subnet_of(kOne))}, 1, kPort));
    return listener.hears();
  };
  shell("nft flush chain inet mvm input");
  EXPECT_FALSE(heard()) << "not stopped by the bridge's own rules";
  shell("nft flush chain bridge mvm input");
  EXPECT_TRUE(heard()) << "this test could not see one that got through";
}

// A bridge hands frames to the reserved addresses to its port's own stack (br_handle_frame): to most of them past the hook
// `input`, to that of LLDP past no hook at all, so that only the rules for what comes in by a link of ours are left.
TEST_F(Packets, ToTheReservedMulticastAddressesDoNotReachTheHost) {
  const Listener listener;
  const auto heard = [&](std::uint8_t last) {
    const Mac reserved = {0x01, 0x80, 0xc2, 0, 0, last};
    a_->send(udp_frame({instance_mac(kOne, 3), reserved, address(kOne, 3), gateway_address(subnet_of(kOne))}, 1, kPort));
    return listener.hears();
  };
  shell("echo 0 > /proc/sys/net/ipv4/conf/tn3i3/rp_filter");  // it would stop them as well
  EXPECT_FALSE(heard(0x03));
  EXPECT_FALSE(heard(0x0e));
  shell("nft flush chain inet mvm input");
  EXPECT_FALSE(heard(0x03)) << "not stopped by the bridge's own rules";
  EXPECT_TRUE(heard(0x0e)) << "this test could not see one that got through";
  shell("nft flush chain bridge mvm input");
  EXPECT_TRUE(heard(0x03)) << "this test could not see one that got through";
}

}  // namespace
}  // namespace mvm::net
