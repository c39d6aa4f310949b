// V5: a test for each clause of docs/language.md, at the limit and one beyond.
#include "world.h"

namespace mvm::lang::build {
namespace {

constexpr std::string_view kPool = "pool acme/web";
constexpr std::string_view kTenant = "tenant acme";

TEST_F(Verify, NothingIsMadeForATenantThatTheProjectionDoesNotName) {
  state = {};
  const std::string bridge = "+ bridge gamma net=9 subnet=10.240.9.0/24";
  EXPECT_THAT(verdict({bridge}), refused("V5", 6, "does not name the tenant"));
  EXPECT_THAT(verdict({"+ " + with(stand(kFirst)[0], "acme/web", "gamma/web")}), refused("V5", 6, "does not name the tenant"));
}

TEST_F(Verify, NothingIsMadeForAPoolThatTheProjectionDoesNotName) {
  const std::string other = "acme/other/i-00000009";
  EXPECT_THAT(verdict({"+ " + stand(other)[0]}), refused("V5", 6, "does not name the pool"));
  state = kNetwork + stand(other);
  EXPECT_THAT(verdict({"+ " + jail(other)}), refused("V5", 6, "does not name the pool"));
}

TEST_F(Verify, NothingIsMovedOfAPoolThatTheProjectionDoesNotName) {
  const std::string other = "acme/other/i-00000009";
  state = kNetwork + running(other);
  EXPECT_THAT(verdict({"~ jail " + other + " running>warm"}), refused("V5", 6, "does not name the pool"));
  EXPECT_THAT(verdict({"~ guest " + other + " awake>parked"}), refused("V5", 6, "does not name the pool"));
}

TEST_F(Verify, AnotherTenantsPoolOfThatNameIsNoPool) {
  EXPECT_THAT(verdict({"+ " + stand("acme/db/i-00000009")[0]}), refused("V5", 6, "does not name the pool"));
}

TEST_F(Verify, ABridgeHasTheNetAndSubnetOfItsTenant) {
  state = {};
  EXPECT_THAT(verdict({"+ bridge acme net=5 subnet=10.240.3.0/24"}), refused("V5", 6, "net=5 is not the projection's, which makes it 3"));
  EXPECT_THAT(verdict({"+ bridge acme net=3 subnet=10.240.3.0/25"}), refused("V5", 6, "the subnet is not the tenant's"));
}

TEST_F(Verify, ARuleIsTheProjectionsInEveryField) {
  state = {kBridge};
  EXPECT_EQ(verdict({"+ " + kRule}), "accepted");
  for (const std::string other : {"egress=none pps=0 mbps=100 cps=0", "egress=nat pps=1 mbps=100 cps=0", "egress=nat pps=0 mbps=101 cps=0",
                                  "egress=nat pps=0 mbps=100 cps=1", "egress=none pps=0 mbps=0 cps=0"}) {
    EXPECT_THAT(verdict({"+ rule acme " + other}), refused("V5", 6, "is not the projection's rule")) << other;
  }
}

TEST_F(Verify, WithoutARuleInTheProjectionATenantReachesNothing) {
  state = {"bridge beta net=4 subnet=10.240.4.0/24"};
  EXPECT_EQ(verdict({"+ rule beta egress=none pps=0 mbps=0 cps=0"}), "accepted");
  for (const std::string other : {"egress=nat pps=0 mbps=0 cps=0", "egress=none pps=1 mbps=0 cps=0", "egress=none pps=0 mbps=1 cps=0", "egress=none pps=0 mbps=0 cps=1"}) {
    EXPECT_THAT(verdict({"+ rule beta " + other}), refused("V5", 6, "has no rule for the tenant")) << other;
  }
}

TEST_F(Verify, ACgroupHasTheSizeOfItsPool) {
  for (const std::string cpu : {"cpu=199", "cpu=201"}) {
    EXPECT_THAT(verdict({"+ " + with(stand(kFirst)[0], "cpu=200", cpu)}), refused("V5", 6, "which makes it 200")) << cpu;
  }
  for (const std::string mem : {"mem=1151", "mem=1153"}) {
    EXPECT_THAT(verdict({"+ " + with(stand(kFirst)[0], "mem=1152", mem)}), refused("V5", 6, "which makes it 1152")) << mem;
  }
}

TEST_F(Verify, APoolHasNoMoreInstancesThanItsCountsAskFor) {
  // running + warm + sleeping is 5.
  Texts standing = kNetwork;
  for (int i = 1; i <= 4; ++i) standing = standing + Texts{stand("acme/web/i-0000001" + std::to_string(i))[0]};
  state = standing;
  EXPECT_EQ(verdict({"+ " + stand(kFirst)[0]}), "accepted");
  EXPECT_THAT(verdict({"+ " + stand(kFirst)[0], "+ " + stand(kSecond)[0]}), refused("V5", 7, "the pool would have 6 instances; the projection allows 5"));
  EXPECT_THAT(verdict({"+ " + stand(kFirst)[0], "+ " + volume(kSecond)}), refused("V5", 7, "the pool would have 6 instances; the projection allows 5"));
}

TEST_F(Verify, StoppedAndSleepingInstancesLeaveRoomForOthers) {
  Texts standing = kNetwork + Texts{volume("acme/web/i-00000020")};
  for (int i = 1; i <= 5; ++i) standing = standing + Texts{stand("acme/web/i-0000001" + std::to_string(i))[0]};
  state = standing;
  EXPECT_EQ(verdict({"- " + stand("acme/web/i-00000015")[0], "+ " + stand(kFirst)[0]}), "accepted");
  EXPECT_THAT(verdict({"+ " + stand(kFirst)[0]}), refused("V5", 6, "the pool would have 7 instances; the projection allows 6"));
  World::edit(projection, kTenant, "instances=6", "instances=9");
  EXPECT_THAT(verdict({"+ " + stand(kFirst)[0]}), refused("V5", 6, "the pool would have 7 instances; the projection allows 6"));
}

TEST_F(Verify, APoolHasNoMoreInstancesThanTheQuota) {
  // Five that are stopped, so that the counts leave room for more.
  Texts standing = kNetwork;
  for (int i = 1; i <= 5; ++i) standing = standing + Texts{volume("acme/web/i-0000001" + std::to_string(i))};
  state = standing;
  EXPECT_EQ(verdict({"+ " + stand(kFirst)[0]}), "accepted");
  EXPECT_THAT(verdict({"+ " + stand(kFirst)[0], "+ " + stand(kSecond)[0]}), refused("V5", 7, "the pool would have 7 instances; the projection allows 6"));
}

TEST_F(Verify, ACgroupForAnInstanceThatLivesIsNotAnotherInstance) {
  Texts standing = kNetwork;
  for (int i = 1; i <= 6; ++i) standing = standing + Texts{volume("acme/web/i-0000001" + std::to_string(i))};
  state = standing;
  EXPECT_EQ(verdict({"+ " + stand("acme/web/i-00000011")[0]}), "accepted");
}

TEST_F(Verify, AVolumeHasTheSizeOfItsPoolsData) {
  EXPECT_EQ(verdict({"+ " + volume(kFirst)}), "accepted");
  EXPECT_THAT(verdict({"+ " + with(volume(kFirst), "2048", "2047")}), refused("V5", 6, "which makes it 2048"));
  EXPECT_THAT(verdict({"+ volume " + kOfBeta + " mib=1 key=beta/1"}), refused("V5", 6, "has no data drive"));
}

TEST_F(Verify, VolumesAreWithinTheTenantsDiskQuota) {
  // Of a pool that is gone, so that nothing but disk counts: 10 GiB, and the quota is 12.
  state = kNetwork + Texts{"volume acme/old/i-00000099 mib=10240 key=acme/1"};
  EXPECT_EQ(verdict({"+ " + volume(kFirst)}), "accepted");
  state = kNetwork + Texts{"volume acme/old/i-00000099 mib=10241 key=acme/1"};
  EXPECT_THAT(verdict({"+ " + volume(kFirst)}), refused("V5", 6, "the tenant would have 12289 MiB of volumes; the projection allows 12288"));
}

TEST_F(Verify, SecretsAreTheTenants) {
  state = kNetwork + Texts{stand(kFirst)[0], "cgroup " + kOfBeta + " cpu=100 mem=640 pids=64 io=10"};
  EXPECT_EQ(verdict({"+ secrets " + kFirst + " digest=d7"}), "accepted");
  EXPECT_THAT(verdict({"+ secrets " + kFirst + " digest=d8"}), refused("V5", 6, "digest is not the projection's"));
  EXPECT_THAT(verdict({"+ secrets " + kOfBeta + " digest=d7"}), refused("V5", 6, "has none of it"));
}

TEST_F(Verify, ConfigIsThePools) {
  state = kNetwork + Texts{stand(kFirst)[0], "cgroup " + kOfBeta + " cpu=100 mem=640 pids=64 io=10"};
  EXPECT_EQ(verdict({"+ config " + kFirst + " digest=d8"}), "accepted");
  EXPECT_THAT(verdict({"+ config " + kFirst + " digest=d7"}), refused("V5", 6, "digest is not the projection's"));
  EXPECT_THAT(verdict({"+ config " + kOfBeta + " digest=d8"}), refused("V5", 6, "has none of it"));
}

TEST_F(Verify, AJailIsOfThePoolsImageAndSize) {
  state = kNetwork + stand(kFirst);
  EXPECT_THAT(verdict({"+ " + with(jail(kFirst), "image=d1", "image=d2")}), refused("V5", 6, "image is not the projection's"));
  EXPECT_THAT(verdict({"+ " + with(jail(kFirst), "vcpus=2", "vcpus=1")}), refused("V5", 6, "vcpus=1 is not the projection's"));
  EXPECT_THAT(verdict({"+ " + with(jail(kFirst), "mem=1024", "mem=1023")}), refused("V5", 6, "mem=1023 is not the projection's"));
}

TEST_F(Verify, AJailHasEveryDriveOfItsPool) {
  const auto without = [](std::string_view word) {
    Texts lines = stand(kFirst);
    World::drop(lines, word);
    return lines;
  };
  state = kNetwork + without("secrets");
  EXPECT_THAT(verdict({"+ " + jail(kFirst)}), refused("V5", 6, "wants a secrets drive"));
  World::edit(projection, kTenant, "secrets=d7", "secrets=none");
  EXPECT_EQ(verdict({"+ " + jail(kFirst)}), "accepted");
  World::edit(projection, kTenant, "secrets=none", "secrets=d7");
  state = kNetwork + without("config");
  EXPECT_THAT(verdict({"+ " + jail(kFirst)}), refused("V5", 6, "wants a config drive"));
  World::edit(projection, kPool, "config=d8", "config=none");
  EXPECT_EQ(verdict({"+ " + jail(kFirst)}), "accepted");
  World::edit(projection, kPool, "config=none", "config=d8");
  Texts bare = without("luksOpen");
  World::drop(bare, "volume");
  state = kNetwork + bare;
  EXPECT_THAT(verdict({"+ " + jail(kFirst)}), refused("V5", 6, "wants a volume drive"));
  World::edit(projection, kPool, "data=2048", "data=0");
  EXPECT_EQ(verdict({"+ " + jail(kFirst)}), "accepted");
}

TEST_F(Verify, AJailStandsOnNothingLeftFromAnEarlierProjection) {
  state = kNetwork + stand(kFirst);
  World::edit(state, "cgroup", "cpu=200", "cpu=800");
  EXPECT_THAT(verdict({"+ " + jail(kFirst)}), refused("V5", 6, "its cgroup is not what the projection wants now"));
  state = kNetwork + stand(kFirst);
  World::edit(state, "secrets", "d7", "d6");
  EXPECT_THAT(verdict({"+ " + jail(kFirst)}), refused("V5", 6, "its secrets is not what the projection wants now"));
  state = kNetwork + stand(kFirst);
  World::edit(state, "config", "d8", "d6");
  EXPECT_THAT(verdict({"+ " + jail(kFirst)}), refused("V5", 6, "its config is not what the projection wants now"));
}

TEST_F(Verify, APoolRunsNoMoreThanItsCount) {
  state = kNetwork + running("acme/web/i-00000011", 11) + running("acme/web/i-00000012", 12) + stand(kFirst, 3) + stand(kSecond, 4) + warm(kThird, 5);
  EXPECT_EQ(verdict({"+ " + jail(kFirst)}), "accepted");
  EXPECT_THAT(verdict({"+ " + jail(kFirst), "~ jail " + kThird + " warm>running"}), refused("V5", 7, "the pool would have 4 running instances; the projection allows 3"));
  EXPECT_THAT(verdict({"+ " + jail(kFirst), "+ " + jail(kSecond)}), refused("V5", 7, "the pool would have 4 running instances; the projection allows 3"));
}

// A second pool of acme, like web, with its own counts.
void add_pool(World& world, const std::string& counts) {
  world.projection.push_back(with(with(world.projection[3], "acme/web", "acme/xx"), "running=3 warm=1 sleeping=1", counts));
}

TEST_F(Verify, ATenantRunsNoMoreThanItsQuota) {
  add_pool(*this, "running=1 warm=0 sleeping=0");
  World::edit(projection, kPool, "warm=1", "warm=0");
  // One of a pool whose count was lowered runs still: 5 would run, each pool within its count.
  state = kNetwork + running("acme/old/i-00000011", 11) + running("acme/old/i-00000012", 12) + stand(kFirst, 3) + stand(kSecond, 4) + stand("acme/xx/i-00000021", 5);
  World::edit(projection, kTenant, "vcpus=8 mem=4096", "vcpus=80 mem=40960");
  EXPECT_EQ(verdict({"+ " + jail(kFirst), "+ " + jail(kSecond)}), "accepted");
  EXPECT_THAT(verdict({"+ " + jail(kFirst), "+ " + jail(kSecond), "+ " + jail("acme/xx/i-00000021")}),
              refused("V5", 8, "the tenant would have 5 running instances; the projection allows 4"));
}

TEST_F(Verify, ATenantKeepsNoMoreWarmThanItsQuota) {
  state = kNetwork + running(kFirst, 3) + running(kSecond, 4) + running(kThird, 5);
  const Texts two = {"~ jail " + kFirst + " running>warm", "~ jail " + kSecond + " running>warm"};
  EXPECT_EQ(verdict(two), "accepted");
  EXPECT_THAT(verdict(two + Texts{"~ jail " + kThird + " running>warm"}), refused("V5", 8, "the tenant would have 3 warm instances; the projection allows 2"));
  state = kNetwork + warm(kFirst, 3) + warm(kSecond, 4) + stand(kThird, 5);
  EXPECT_THAT(verdict({"+ " + jail(kThird, "warm")}), refused("V5", 6, "3 warm instances; the projection allows 2"));
}

TEST_F(Verify, MoreWarmThanTheQuotaDoesNotKeepOneFromRunning) {
  World::edit(projection, kTenant, "warm=2", "warm=1");
  state = kNetwork + warm(kFirst, 3) + warm(kSecond, 4) + warm(kThird, 5);
  EXPECT_EQ(verdict({"~ jail " + kFirst + " warm>running"}), "accepted");
}

TEST_F(Verify, AJailIsWithinTheTenantsVcpusAndMemory) {
  add_pool(*this, "running=0 warm=0 sleeping=0");
  state = kNetwork + running("acme/old/i-00000011", 11) + running("acme/old/i-00000012", 12) + warm("acme/old/i-00000013", 13) + stand(kFirst, 3) + stand(kSecond, 4);
  EXPECT_EQ(verdict({"+ " + jail(kFirst)}), "accepted");
  EXPECT_THAT(verdict({"+ " + jail(kFirst), "+ " + jail(kSecond)}), refused("V5", 7, "the tenant would have 10 vcpus; the projection allows 8"));
  World::edit(projection, kTenant, "vcpus=8", "vcpus=80");
  EXPECT_THAT(verdict({"+ " + jail(kFirst), "+ " + jail(kSecond)}), refused("V5", 7, "the tenant would have 5120 MiB of memory; the projection allows 4096"));
}

TEST_F(Verify, ASnapshotIsCompressedAsItsPoolWants) {
  state = kNetwork + warm(kFirst);
  EXPECT_THAT(verdict({"+ " + with(snapshot(kFirst), "zstd", "none")}), refused("V5", 6, "compression is not the pool's"));
}

TEST_F(Verify, APinnedPoolIsNeverPausedOrPutToSleep) {
  World::edit(projection, kPool, "pinned=no", "pinned=yes");
  state = kNetwork + running(kFirst);
  EXPECT_THAT(verdict({"~ jail " + kFirst + " running>warm"}), refused("V5", 6, "pinned: it is never paused"));
  EXPECT_EQ(verdict({"~ guest " + kFirst + " awake>parked"}), "accepted");
  EXPECT_EQ(verdict({"- " + jail(kFirst)}), "accepted");
  state = kNetwork + warm(kFirst);
  EXPECT_THAT(verdict({"+ " + snapshot(kFirst)}), refused("V5", 6, "pinned: it is never put to sleep"));
  EXPECT_EQ(verdict({"~ jail " + kFirst + " warm>running"}), "accepted");
}

TEST_F(Verify, ACriticalPoolIsNeverTouched) {
  World::edit(projection, kPool, "critical=no", "critical=yes");
  state = kNetwork + running(kFirst);
  EXPECT_THAT(verdict({"~ jail " + kFirst + " running>warm"}), refused("V5", 6, "critical"));
  EXPECT_THAT(verdict({"~ guest " + kFirst + " awake>parked"}), refused("V5", 6, "critical"));
  EXPECT_THAT(verdict({"- " + jail(kFirst)}), refused("V5", 6, "critical"));
  state = kNetwork + stand(kFirst);
  EXPECT_THAT(verdict({"- tap " + kFirst + " slot=3 pps=0 mbps=0"}), refused("V5", 6, "critical"));
  World::edit(projection, kPool, "running=3", "running=0");
  EXPECT_EQ(verdict({"- tap " + kFirst + " slot=3 pps=0 mbps=0"}), "accepted");
}

TEST_F(Verify, ACriticalPoolMayRunAgain) {
  World::edit(projection, kPool, "critical=no", "critical=yes");
  state = kNetwork + warm(kFirst);
  EXPECT_EQ(verdict({"~ jail " + kFirst + " warm>running", "~ guest " + kFirst + " parked>awake"}), "accepted");
}

TEST_F(Verify, ACriticalPoolMayWake) {
  World::edit(projection, kPool, "critical=no", "critical=yes");
  state = kNetwork + sleeping(kFirst);
  Texts rest = stand(kFirst);
  World::drop(rest, "volume");
  EXPECT_EQ(verdict(plus(rest + Texts{jail(kFirst, "running", "parked", boots(snapshot(kFirst)))}) + Texts{"- " + snapshot(kFirst)}), "accepted");
  EXPECT_THAT(verdict({"- " + snapshot(kFirst)}), refused("V5", 6, "critical"));
}

TEST_F(Verify, ACriticalPoolThatIsNoLongerNamedMayGo) {
  state = kNetwork + running(kFirst);
  World::drop(projection, kPool);
  EXPECT_EQ(verdict({"- " + jail(kFirst)}), "accepted");
}

TEST_F(Verify, DataOfANamedPoolIsNeverDestroyed) {
  World::edit(projection, "prune", "tenants=no pools=no", "tenants=yes pools=yes");
  state = kNetwork + sleeping(kFirst);
  EXPECT_THAT(verdict({"- " + snapshot(kFirst)}), refused("V5", 6, "data of a pool that the projection names"));
  state = kNetwork + Texts{volume(kFirst)};
  EXPECT_THAT(verdict({"- " + volume(kFirst)}), refused("V5", 6, "data of a pool that the projection names"));
}

TEST_F(Verify, DataOfAPoolThatIsGoneGoesWherePruneSaysPools) {
  World::drop(projection, kPool);
  state = kNetwork + sleeping(kFirst);
  EXPECT_THAT(verdict(minus(sleeping(kFirst))), refused("V5", 6, "prune pools=no"));
  World::edit(projection, "prune", "tenants=no", "tenants=yes");
  EXPECT_THAT(verdict(minus(sleeping(kFirst))), refused("V5", 6, "prune pools=no"));
  World::edit(projection, "prune", "pools=no", "pools=yes");
  EXPECT_EQ(verdict(minus(sleeping(kFirst))), "accepted");
  state = kNetwork + Texts{volume(kFirst)};
  World::edit(projection, "prune", "pools=yes", "pools=no");
  EXPECT_THAT(verdict({"- " + volume(kFirst)}), refused("V5", 6, "prune pools=no"));
}

TEST_F(Verify, DataOfATenantThatIsGoneGoesWherePruneSaysTenants) {
  World::drop(projection, kPool);
  World::drop(projection, kTenant);
  World::drop(projection, "rule acme");
  state = kNetwork + sleeping(kFirst);
  World::edit(projection, "prune", "pools=no", "pools=yes");
  EXPECT_THAT(verdict(minus(sleeping(kFirst))), refused("V5", 6, "prune tenants=no"));
  World::edit(projection, "prune", "tenants=no pools=yes", "tenants=yes pools=no");
  EXPECT_EQ(verdict(minus(sleeping(kFirst))), "accepted");
  World::drop(projection, "prune");
  EXPECT_THAT(verdict(minus(sleeping(kFirst))), refused("V5", 6, "prune tenants=no"));
}

TEST_F(Verify, WhatIsUsedUpOrGivenUpIsNotDestroyed) {
  state = kNetwork + stand(kFirst) + Texts{jail(kFirst, "running", "parked", boots(snapshot(kFirst))), snapshot(kFirst)};
  EXPECT_EQ(verdict({"- " + snapshot(kFirst)}), "accepted");
  state = kNetwork + warm(kFirst) + Texts{snapshot(kFirst)};
  EXPECT_EQ(verdict({"- " + snapshot(kFirst)}), "accepted");
}

TEST_F(Verify, AnAgentMayStopWithoutAuthority) {
  projection = {"prune tenants=no pools=no"};
  state = kNetwork + running(kFirst);
  Texts rest = stand(kFirst);
  World::drop(rest, "volume");
  EXPECT_EQ(verdict(minus(kNetwork + rest + Texts{jail(kFirst)})), "accepted");
}

TEST_F(Verify, ABaseIsOfThePoolsImageAndSize) {
  state = kNetwork + sleeping(kFirst);
  const std::string of_it = "+ " + base(snapshot(kFirst));
  EXPECT_EQ(verdict({of_it}), "accepted");
  EXPECT_THAT(verdict({with(of_it, "image=d1", "image=d2")}), refused("V5", 6, "image is not the projection's"));
  EXPECT_THAT(verdict({with(of_it, "mem=1024", "mem=1023")}), refused("V5", 6, "mem=1023 is not the projection's"));
}

TEST_F(Verify, ABaseIsOfAPoolThatIsNamedAndGoesWithoutAuthority) {
  state = kNetwork + sleeping(kFirst);
  World::drop(projection, "pool acme/web");
  EXPECT_THAT(verdict({"+ " + base(snapshot(kFirst))}), refused("V5", 6, "the projection does not name the pool"));
  state.push_back(base(snapshot(kFirst)));
  EXPECT_EQ(verdict({"- " + base(snapshot(kFirst))}), "accepted");
}

}  // namespace
}  // namespace mvm::lang::build
