// V3: a test for each clause of docs/language.md, at its bound and one beyond.
#include "policy-lang/verify_rules.h"
#include "world.h"

namespace mvm::lang::build {
namespace {

std::string tap_of(const std::string& instance, int slot) { return "tap " + instance + " slot=" + std::to_string(slot) + " pps=0 mbps=0"; }
std::string cgroup_of(const std::string& instance) { return stand(instance)[0]; }

// A bridge as the projection wants it: `fields` in both.
std::string bridged(World& world, const std::string& fields) {
  world.state = {};
  World::edit(world.projection, "tenant acme", "net=3 subnet=10.240.3.0/24", fields);
  return world.verdict({"+ bridge acme " + fields});
}

TEST_F(Verify, ABridgeLiesInThePolicysCidr) {
  // Only the policy's cidr changes, so that it is the bridge that is refused: the projection is of beta alone.
  World::edit(policy, "cidr", "10.240.0.0/12", "10.240.3.0/24");
  World::drop(projection, "tenant beta");
  World::drop(projection, "pool beta");
  state = {};
  EXPECT_EQ(verdict({"+ " + kBridge}), "accepted");
  EXPECT_THAT(verdict({"+ bridge acme net=3 subnet=10.240.2.0/24"}), refused("V3", 6, "10.240.2.0/24 is not inside the policy's cidr 10.240.3.0/24"));
  EXPECT_THAT(verdict({"+ bridge acme net=3 subnet=10.240.2.0/23"}), refused("V3", 6, "is not inside"));
}

TEST_F(Verify, ABridgesPrefixIs12To29) {
  World::edit(policy, "cidr", "10.240.0.0/12", "10.0.0.0/8");
  World::edit(policy, "uids", "count=1048576", "count=16777216");
  World::edit(projection, "tenant beta", "10.240.4.0/24", "10.96.4.0/24");
  EXPECT_EQ(bridged(*this, "net=3 subnet=10.240.0.0/12"), "accepted");
  World::edit(projection, "tenant acme", "10.240.0.0/12", "10.240.3.0/24");
  EXPECT_EQ(bridged(*this, "net=3 subnet=10.240.3.0/29"), "accepted");
  EXPECT_THAT(verdict({"+ bridge acme net=3 subnet=10.240.0.0/11"}), refused("V3", 6, "a prefix of 12 to 29, not 11"));
  EXPECT_THAT(verdict({"+ bridge acme net=3 subnet=10.240.3.0/30"}), refused("V3", 6, "a prefix of 12 to 29, not 30"));
}

TEST_F(Verify, BridgesDoNotOverlap) {
  EXPECT_EQ(verdict({"+ bridge beta net=4 subnet=10.240.4.0/24"}), "accepted");
  for (const std::string subnet : {"10.240.3.0/24", "10.240.2.0/23", "10.240.3.128/25", "10.240.0.0/12", "10.240.3.0/29"}) {
    EXPECT_THAT(verdict({"+ bridge beta net=4 subnet=" + subnet}), refused("V3", 6, "overlaps 10.240.3.0/24 of tenant acme")) << subnet;
  }
  EXPECT_EQ(verdict({"- " + kRule, "- " + kBridge, "+ bridge beta net=4 subnet=10.240.4.0/24"}), "accepted");
}

TEST_F(Verify, ARemovedBridgeFreesItsNetAndSubnet) {
  EXPECT_THAT(verdict({"- " + kRule, "- " + kBridge, "+ bridge beta net=3 subnet=10.240.3.0/24"}), refused("V5", 8, "net=3"));
}

TEST_F(Verify, NetIdsOfBridgesAreUnique) {
  EXPECT_THAT(verdict({"+ bridge beta net=3 subnet=10.240.4.0/24"}), refused("V3", 6, "net id 3 is that of tenant acme"));
}

TEST_F(Verify, SlotsEndBelowTheBroadcastAddress) {
  EXPECT_EQ(verdict({"+ " + cgroup_of(kFirst), "+ " + tap_of(kFirst, 254)}), "accepted");
  EXPECT_THAT(verdict({"+ " + cgroup_of(kFirst), "+ " + tap_of(kFirst, 255)}), refused("V3", 7, "whose slots are 3 to 254"));
}

TEST_F(Verify, SlotsBeginAboveTheGatewayAndTheBuilder) {
  EXPECT_EQ(verdict({"+ " + cgroup_of(kFirst), "+ " + tap_of(kFirst, 3)}), "accepted");
  EXPECT_THAT(verdict({"+ " + cgroup_of(kFirst), "+ " + tap_of(kFirst, 2)}), refused("V3", 7, "slot 2 is outside"));
}

TEST_F(Verify, TwoInstancesOfATenantNeverShareASlot) {
  state = kNetwork + Texts{cgroup_of(kFirst), tap_of(kFirst, 3)};
  EXPECT_THAT(verdict({"+ " + cgroup_of(kSecond), "+ " + tap_of(kSecond, 3)}), refused("V3", 7, "slot 3 of the tenant is held by " + kFirst));
  EXPECT_EQ(verdict({"+ " + cgroup_of(kSecond), "+ " + tap_of(kSecond, 4)}), "accepted");
  EXPECT_EQ(verdict({"+ " + cgroup_of(kSecond), "- " + tap_of(kFirst, 3), "+ " + tap_of(kSecond, 3)}), "accepted");
}

TEST_F(Verify, TheSlotOfASleepingInstanceIsKept) {
  state = kNetwork + sleeping(kFirst, 3);
  EXPECT_THAT(verdict({"+ " + cgroup_of(kSecond), "+ " + tap_of(kSecond, 3)}), refused("V3", 7, "held by " + kFirst));
}

TEST_F(Verify, AnInstanceThatFellAsleepInThePlanKeepsItsSlotToo) {
  state = kNetwork + warm(kFirst);
  Texts rest = stand(kFirst);
  rest.erase(rest.begin() + 1);
  const Texts sleep = Texts{"+ " + snapshot(kFirst)} + minus(rest + Texts{jail(kFirst, "warm", "parked")});
  EXPECT_THAT(verdict(sleep + Texts{"+ " + cgroup_of(kSecond), "+ " + tap_of(kSecond, 3)}), refused("V3", 14, "held by " + kFirst));
}

TEST_F(Verify, ASlotOfAnotherTenantIsAnotherSlot) {
  state = kNetwork + Texts{"bridge beta net=4 subnet=10.240.4.0/24", cgroup_of(kFirst), tap_of(kFirst, 3)};
  EXPECT_EQ(verdict({"+ cgroup " + kOfBeta + " cpu=100 mem=640 pids=64 io=10", "+ " + tap_of(kOfBeta, 3)}), "accepted");
}

TEST_F(Verify, ABridgeHoldsAThousandTaps) {
  World::edit(projection, "tenant acme", "10.240.3.0/24", "10.240.16.0/20");
  state = {"bridge acme net=3 subnet=10.240.16.0/20"};
  for (int i = 1; i < 1000; ++i) {
    const std::string instance = "acme/old/i-" + to_string(InstanceId{static_cast<std::uint32_t>(0x1000 + i)}).substr(2);
    state.push_back(cgroup_of(instance));
    state.push_back(tap_of(instance, 10 + i));
  }
  World::edit(policy, "limits", "instances=20", "instances=2000");
  const Texts first = {"+ " + cgroup_of(kFirst), "+ " + tap_of(kFirst, 4)};
  EXPECT_EQ(verdict(first), "accepted");
  EXPECT_THAT(verdict(first + Texts{"+ " + cgroup_of(kSecond), "+ " + tap_of(kSecond, 5)}), refused("V3", 9, "tap 1001 of its bridge; the most is 1000"));
}

TEST_F(Verify, UidsEndWithThePolicysRange) {
  // 10.240.3.3 is address 771 of the cidr.
  World::edit(policy, "uids", "count=1048576", "count=772");
  EXPECT_EQ(verdict({"+ " + cgroup_of(kFirst), "+ " + tap_of(kFirst, 3)}), "accepted");
  EXPECT_THAT(verdict({"+ " + cgroup_of(kFirst), "+ " + tap_of(kFirst, 4)}), refused("V3", 7, "slot 4 of 10.240.3.0/24 has no uid"));
}

TEST_F(Verify, UidsBeginWithTheCidr) {
  // A bridge that was made while the cidr was another; beyond V3, nobody asked for the tap.
  policy[0] = "cidr subnet=10.240.3.8/29";
  projection = {};
  state = kNetwork + Texts{cgroup_of(kFirst)};
  EXPECT_THAT(verdict({"+ " + tap_of(kFirst, 8)}), refused("V5", 6, "does not name the tenant"));
  EXPECT_THAT(verdict({"+ " + tap_of(kFirst, 7)}), refused("V3", 6, "has no uid"));
}

TEST_F(Verify, ABridgeOutsideAChangedCidrGetsNoMoreTapsButMayGo) {
  World::edit(policy, "cidr", "10.240.0.0/12", "10.240.4.0/22");
  World::drop(projection, "tenant acme");
  World::drop(projection, "pool acme");
  World::drop(projection, "rule acme");
  state = kNetwork + Texts{cgroup_of(kFirst)};
  EXPECT_THAT(verdict({"+ " + tap_of(kFirst, 3)}), refused("V3", 6, "has no uid"));
  EXPECT_EQ(verdict({"- " + cgroup_of(kFirst), "- " + kRule, "- " + kBridge}), "accepted");
}

TEST_F(Verify, AKeyIsItsOwnTenants) {
  EXPECT_THAT(verdict({"+ " + with(volume(kFirst), "key=acme/1", "key=beta/1")}), refused("V3", 6, "belongs to tenant beta"));
  state = kNetwork + Texts{cgroup_of(kFirst), with(volume(kFirst), "key=acme/1", "key=beta/1")};
  EXPECT_THAT(verdict({"+ luksOpen " + kFirst + " key=beta/1"}), refused("V3", 6, "belongs to tenant beta"));
  state = kNetwork + warm(kFirst);
  EXPECT_THAT(verdict({"+ " + with(snapshot(kFirst), "key=acme/1", "key=beta/1")}), refused("V3", 6, "belongs to tenant beta"));
}

TEST_F(Verify, OneInstanceIdStandsInOnePool) {
  state = kNetwork + Texts{cgroup_of(kFirst)};
  const std::string elsewhere = "beta/db/i-00000001", next_door = "acme/wxx/i-00000001";
  EXPECT_THAT(verdict({"+ " + cgroup_of(elsewhere)}), refused("V3", 6, "the id is that of " + kFirst));
  EXPECT_THAT(verdict({"+ " + cgroup_of(next_door)}), refused("V3", 6, "the id is that of " + kFirst));
  EXPECT_EQ(verdict({"- " + cgroup_of(kFirst), "+ cgroup " + elsewhere + " cpu=100 mem=640 pids=64 io=10"}), "accepted");
}

TEST_F(Verify, AnIdIsFreeOnlyWhenTheLastLineIsGone) {
  state = kNetwork + Texts{cgroup_of(kFirst), tap_of(kFirst, 3)};
  EXPECT_THAT(verdict({"- " + tap_of(kFirst, 3), "+ " + cgroup_of("beta/db/i-00000001")}), refused("V3", 7, "the id is that of"));
}

TEST_F(Verify, AStateThatContradictsItselfIsRefusedWhole) {
  state = kNetwork + Texts{cgroup_of(kFirst), cgroup_of("beta/db/i-00000001")};
  EXPECT_THAT(verdict(Texts{}), refused("V3", 0, "contradicts itself: the id"));
  state = kNetwork + Texts{cgroup_of(kFirst), tap_of(kFirst, 3)} + sleeping(kSecond, 3);
  EXPECT_THAT(verdict(Texts{}), refused("V3", 0, "contradicts itself: slot 3"));
  state = kNetwork + Texts{"bridge beta net=3 subnet=10.240.4.0/24"};
  EXPECT_THAT(verdict(Texts{}), refused("V3", 0, "contradicts itself: net id 3"));
  state = kNetwork + Texts{"bridge beta net=4 subnet=10.240.3.0/25"};
  EXPECT_THAT(verdict(Texts{}), refused("V3", 0, "contradicts itself: 10.240.3.0/25 overlaps"));
}

// Cgroups of a pool that nobody wants.
Texts crowd(std::size_t lines, const std::string& pool = "acme/old", std::uint32_t first_id = 0x10000) {
  Texts state;
  for (std::uint32_t i = 0; i < lines; ++i) state.push_back(cgroup_of(pool + "/" + to_string(InstanceId{first_id + i})));
  return state;
}

TEST_F(Verify, TheStateStaysWithinTheLinesOfAText) {
  World::edit(policy, "limits", "instances=20", "instances=16384");
  state = crowd(kMaxStatements - 1) + Texts{kBridge};
  EXPECT_EQ(verdict({"- " + crowd(1)[0], "+ " + kRule}), "accepted");
  EXPECT_THAT(verdict({"+ " + kRule}), refused("V3", 0, "16385 lines; the most is 16384"));
}

TEST_F(Verify, TheStateStaysWithinTheBytesOfAText) {
  World::edit(policy, "limits", "instances=20", "instances=16384");
  const std::string long_pool = "acme/" + std::string(32, 'p');
  state = {};
  const std::size_t room = kMaxTextBytes - print(state_text()).size() - 67;  // 67: `desired` of the state after, as a digest
  const std::size_t long_line = crowd(1, long_pool)[0].size() + 1, short_line = crowd(1)[0].size() + 1;
  state = crowd(room / long_line, long_pool) + crowd(room % long_line / short_line, "acme/old", 0x90000);
  std::size_t left = room % long_line % short_line;
  for (std::string& line : state) {
    if (left == 0) break;
    const std::size_t longer = std::min<std::size_t>(left, 3);
    line = with(line, "io=10", "io=10" + std::string(longer, '0'));
    left -= longer;
  }
  EXPECT_EQ(verdict(Texts{}), "accepted");
  EXPECT_THAT(verdict({"+ " + kBridge}), refused("V3", 0, say("of ", kMaxTextBytes + kBridge.size() + 1, " bytes; the most is 1048576")));
}

}  // namespace
}  // namespace mvm::lang::build
