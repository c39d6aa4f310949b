// What the machine's own kernel cannot be brought to show: VLAN filtering, flow tables, XDP, settings that were not read.
#include <gtest/gtest.h>

#include <algorithm>

#include "base/derived.h"
#include "net-verify/verify.h"

namespace mvm::verify {
namespace {

constexpr std::uint16_t kNet = 3;
constexpr Subnet kSubnet{10U << 24 | 240U << 16 | 3U << 8, 24};

class Structure : public testing::Test {
 protected:
  Structure() {
    Link bridge, tap;
    bridge.index = 1, tap.index = 2;
    bridge.name = bridge_name(kNet), tap.name = tap_name(kNet, 3);
    bridge.kind = "bridge", tap.kind = "tun";
    bridge.flags = tap.flags = 1;
    bridge.mac = instance_mac(kNet, 1);
    tap.master = 1;
    snapshot_.links = {bridge, tap};
    snapshot_.addresses = {{1, false, gateway_address(kSubnet), kSubnet.prefix}};
    const std::map<std::string, std::int64_t> closed = {
        {"accept_redirects", 0}, {"send_redirects", 0}, {"accept_source_route", 0}, {"proxy_arp", 0}, {"proxy_arp_pvlan", 0},
        {"accept_local", 0},     {"route_localnet", 0}, {"rp_filter", 1},           {"arp_ignore", 1}, {"forwarding", 1}};
    for (const std::string& name : {bridge.name, tap.name, std::string("all")}) snapshot_.settings[name].values = closed;
    // Whatever comes from the tap is dropped: what is found then is the structure's alone.
    Rule drop;
    Expr verdict;
    verdict.kind = ExprKind::kImmediate;
    verdict.verdict = Verdict{0, {}};
    drop.exprs = {verdict};
    snapshot_.chains = {{5, "t", "in", Hook{0, 0, "filter", {tap.name}, true}, {drop}}};
    expected_.tenants[kNet] = {*Name::from("acme"), kNet, true, kSubnet, std::nullopt, {3}};
  }

  [[nodiscard]] Report look() const { return verify(snapshot_, expected_); }
  static bool says(const Report& report, const std::string& words) {
    return std::ranges::any_of(report.findings, [&](const Finding& f) { return f.what.contains(words); }) ||
           std::ranges::any_of(report.cannot_tell, [&](const Unsure& unsure) { return unsure.what.contains(words); });
  }

  Snapshot snapshot_;
  Expected expected_;
};

TEST_F(Structure, AsItShouldBeIsSound) {
  EXPECT_EQ(Answer::kSound, look().answer());
  EXPECT_EQ(1U, look().taps);
}

// A packet of the tap's comes by there, before it is dropped.
TEST_F(Structure, WithSomethingUnknownOnAHookThatIsMetCannotTell) {
  snapshot_.hooks = {{5, 0, "tn3i3", "nf_hook_run_bpf"}};
  EXPECT_EQ(Answer::kCannotTell, look().answer());
  EXPECT_TRUE(says(look(), "nf_hook_run_bpf hangs on hook 0 of netdev of tn3i3"));
}

TEST_F(Structure, WithSomethingUnknownOnAHookThatNoPacketMeetsIsSound) {
  snapshot_.hooks = {{5, 0, "up0", "nf_hook_run_bpf"}, {5, 1, "tn3i3", "nf_hook_run_bpf"}, {2, 0, "", "nf_hook_run_bpf"}};
  EXPECT_EQ(Answer::kSound, look().answer());
}

TEST_F(Structure, OfOneTenantDoesNotDoubtWhatLiesOnAnothersWay) {
  snapshot_.hooks = {{5, 0, "tn3i3", "nf_hook_run_bpf"}};
  snapshot_.links[1].xdp = true;
  EXPECT_EQ(2U, verify(snapshot_, expected_, kNet).cannot_tell.size());
  EXPECT_EQ(Answer::kSound, verify(snapshot_, expected_, kNet + 1).answer());
  snapshot_.unread = {"all of it"};  // nobody can say whose that is
  EXPECT_EQ(Answer::kCannotTell, verify(snapshot_, expected_, kNet + 1).answer());
}

TEST_F(Structure, OfABridgeThatFiltersVlansIsAFinding) {
  snapshot_.links[0].vlan_filtering = true;
  EXPECT_EQ(Answer::kFinding, look().answer());
  EXPECT_TRUE(says(look(), "filters VLANs"));
}

TEST_F(Structure, WithAVlanOnATapIsAFinding) {
  Link vlan;
  vlan.index = 9, vlan.name = "v9", vlan.kind = "vlan", vlan.lower = 2;
  snapshot_.links.push_back(vlan);
  EXPECT_EQ(Answer::kFinding, look().answer());
  EXPECT_TRUE(says(look(), "v9 (vlan) is stacked on tn3i3"));
}

TEST_F(Structure, WithAFlowTableOnABridgeCannotBeTold) {
  snapshot_.flow_tables = {{"ft", {"up0"}}};
  EXPECT_EQ(Answer::kSound, look().answer()) << "it is on other links";
  snapshot_.flow_tables = {{"ft", {"up0", bridge_name(kNet)}}};
  EXPECT_EQ(Answer::kCannotTell, look().answer());
  EXPECT_TRUE(says(look(), "flow table ft"));
}

TEST_F(Structure, WithXdpOnATapCannotBeTold) {
  snapshot_.links[1].xdp = true;
  EXPECT_EQ(Answer::kCannotTell, look().answer());
  EXPECT_TRUE(says(look(), "XDP"));
}

TEST_F(Structure, WithATcxProgramOnATapCannotBeTold) {
  snapshot_.programs[2] = "a tcx program";
  EXPECT_EQ(Answer::kCannotTell, look().answer());
}

TEST_F(Structure, OfWhichAPartWasNotReadCannotBeTold) {
  snapshot_.unread = {"something"};
  EXPECT_EQ(Answer::kCannotTell, look().answer());
  snapshot_.unread.clear();
  snapshot_.settings[bridge_name(kNet)].values.erase("rp_filter");
  EXPECT_EQ(Answer::kCannotTell, look().answer());
  EXPECT_TRUE(says(look(), "rp_filter"));
}

TEST_F(Structure, OfAnotherTenantIsLeftOutWhereOneIsAskedFor) {
  snapshot_.links[0].stp = true;
  EXPECT_EQ(Answer::kFinding, verify(snapshot_, expected_, kNet).answer());
  EXPECT_EQ(Answer::kSound, verify(snapshot_, expected_, 4).answer());
}

}  // namespace
}  // namespace mvm::verify
