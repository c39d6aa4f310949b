// V4 and a policy by itself: a test for each clause of docs/language.md, at the limit and one beyond.
#include "world.h"

namespace mvm::lang::build {
namespace {

TEST_F(Verify, TenantsAreLimited) {
  const std::string another = "+ bridge beta net=4 subnet=10.240.4.0/24";
  World::edit(policy, "limits", "tenants=4", "tenants=2");
  EXPECT_EQ(verdict({another}), "accepted");
  World::edit(policy, "limits", "tenants=2", "tenants=1");
  EXPECT_THAT(verdict({another}), refused("V4", 6, "2 tenants; the policy's limit is 1"));
}

TEST_F(Verify, ATenantWithAnInstanceAndNoBridgeCounts) {
  World::edit(policy, "limits", "tenants=4", "tenants=1");
  EXPECT_THAT(verdict({"+ cgroup " + kOfBeta + " cpu=100 mem=640 pids=64 io=10"}), refused("V4", 6, "2 tenants"));
}

TEST_F(Verify, InstancesAreLimited) {
  state = kNetwork + sleeping(kFirst, 3);
  const Texts another = {"+ " + stand(kSecond)[0]};
  World::edit(policy, "limits", "instances=20", "instances=2");
  EXPECT_EQ(verdict(another), "accepted");
  World::edit(policy, "limits", "instances=2", "instances=1");
  EXPECT_THAT(verdict(another), refused("V4", 6, "2 instances; the policy's limit is 1"));
}

TEST_F(Verify, VcpusOfRunningAndWarmJailsAreLimited) {
  state = kNetwork + warm(kFirst, 3) + stand(kSecond, 4);
  World::edit(policy, "limits", "vcpus=40", "vcpus=4");
  EXPECT_EQ(verdict({"+ " + jail(kSecond)}), "accepted");
  World::edit(policy, "limits", "vcpus=4", "vcpus=3");
  EXPECT_THAT(verdict({"+ " + jail(kSecond)}), refused("V4", 6, "4 vcpus; the policy's limit is 3"));
}

TEST_F(Verify, MemoryOfRunningAndWarmJailsIsLimited) {
  state = kNetwork + warm(kFirst, 3) + stand(kSecond, 4);
  World::edit(policy, "limits", "mem=40960", "mem=2048");
  EXPECT_EQ(verdict({"+ " + jail(kSecond)}), "accepted");
  World::edit(policy, "limits", "mem=2048", "mem=2047");
  EXPECT_THAT(verdict({"+ " + jail(kSecond)}), refused("V4", 6, "2048 MiB of memory; the policy's limit is 2047"));
}

TEST_F(Verify, DiskOfVolumesIsLimited) {
  state = kNetwork + sleeping(kFirst, 3);
  World::edit(policy, "limits", "disk=81920", "disk=4096");
  EXPECT_EQ(verdict({"+ " + volume(kSecond)}), "accepted");
  World::edit(policy, "limits", "disk=4096", "disk=4095");
  EXPECT_THAT(verdict({"+ " + volume(kSecond)}), refused("V4", 6, "4096 MiB of disk; the policy's limit is 4095"));
}

TEST_F(Verify, ALoweredLimitStopsWhateverMakesButNotWhatRemoves) {
  state = kNetwork + warm(kFirst);
  World::edit(policy, "limits", "vcpus=40", "vcpus=1");
  EXPECT_THAT(verdict({"~ jail " + kFirst + " warm>running"}), refused("V4", 6, "2 vcpus; the policy's limit is 1"));
  EXPECT_THAT(verdict({"+ " + snapshot(kFirst)}), refused("V4", 6, "2 vcpus"));
  EXPECT_EQ(verdict({"- " + jail(kFirst, "warm", "parked")}), "accepted");
  state = kNetwork + running(kFirst);
  EXPECT_EQ(verdict({"~ guest " + kFirst + " awake>parked", "~ jail " + kFirst + " running>warm"}), "accepted");
}

TEST_F(Verify, PidsOfACgroupAreLimited) {
  EXPECT_EQ(verdict({"+ " + stand(kFirst)[0]}), "accepted");
  EXPECT_THAT(verdict({"+ " + with(stand(kFirst)[0], "pids=64", "pids=65")}), refused("V4", 6, "pids=65 is above the policy's 64"));
}

TEST_F(Verify, IoOfACgroupIsLimitedWhereThePolicyLimitsIt) {
  EXPECT_THAT(verdict({"+ " + with(stand(kFirst)[0], "io=10", "io=11")}), refused("V4", 6, "io=11 is above the policy's 10"));
  EXPECT_THAT(verdict({"+ " + with(stand(kFirst)[0], "io=10", "io=0")}), refused("V4", 6, "io=0, no limit, is above the policy's 10"));
  World::edit(policy, "instance", "io=10", "io=0");
  EXPECT_EQ(verdict({"+ " + with(stand(kFirst)[0], "io=10", "io=0")}), "accepted");
  EXPECT_EQ(verdict({"+ " + with(stand(kFirst)[0], "io=10", "io=11")}), "accepted");
}

TEST_F(Verify, RatesOfATapAreLimitedWhereThePolicyLimitsThem) {
  state = kNetwork + Texts{stand(kFirst)[0]};
  const std::string tap = "+ " + stand(kFirst)[5];
  EXPECT_EQ(verdict({with(tap, "pps=0 mbps=0", "pps=10000000 mbps=100000")}), "accepted");
  World::edit(policy, "instance", "pps=0 mbps=0", "pps=1000 mbps=50");
  EXPECT_EQ(verdict({with(tap, "pps=0 mbps=0", "pps=1000 mbps=50")}), "accepted");
  EXPECT_THAT(verdict({with(tap, "pps=0 mbps=0", "pps=1001 mbps=50")}), refused("V4", 6, "pps=1001 is above the policy's 1000"));
  EXPECT_THAT(verdict({with(tap, "pps=0 mbps=0", "pps=1000 mbps=51")}), refused("V4", 6, "mbps=51 is above the policy's 50"));
  EXPECT_THAT(verdict({with(tap, "pps=0 mbps=0", "pps=0 mbps=50")}), refused("V4", 6, "pps=0, no limit, is above the policy's 1000"));
  EXPECT_THAT(verdict({with(tap, "pps=0 mbps=0", "pps=1000 mbps=0")}), refused("V4", 6, "mbps=0, no limit, is above the policy's 50"));
}

TEST_F(Verify, AJailIsNotMadeOnATapOfAnEarlierPolicy) {
  state = kNetwork + stand(kFirst);
  World::edit(policy, "instance", "pps=0", "pps=1000");
  EXPECT_THAT(verdict({"+ " + jail(kFirst)}), refused("V4", 6, "its tap is not what the policy allows now: pps=0"));
}

TEST_F(Verify, AJailIsNotMadeInACgroupOfAnEarlierPolicy) {
  state = kNetwork + stand(kFirst);
  EXPECT_EQ(verdict({"+ " + jail(kFirst)}), "accepted");
  World::edit(policy, "instance", "pids=64", "pids=63");
  EXPECT_THAT(verdict({"+ " + jail(kFirst)}), refused("V4", 6, "its cgroup is not what the policy allows now: pids=64"));
  World::edit(policy, "instance", "pids=63 io=10", "pids=64 io=9");
  EXPECT_THAT(verdict({"+ " + jail(kFirst)}), refused("V4", 6, "io=10 is above the policy's 9"));
}

TEST_F(Verify, OnlyListedImagesRunWhereAnyIsListed) {
  state = kNetwork + stand(kFirst);
  EXPECT_EQ(verdict({"+ " + jail(kFirst)}), "accepted");
  policy = policy + Texts{"image digest=d2", "image digest=d9"};
  EXPECT_THAT(verdict({"+ " + jail(kFirst)}), refused("V4", 6, "does not list the image"));
  policy = policy + Texts{"image digest=d1"};
  EXPECT_EQ(verdict({"+ " + jail(kFirst)}), "accepted");
}

TEST_F(Verify, VolumesHaveAKeyWhereThePolicyWantsIt) {
  EXPECT_THAT(verdict({"+ " + with(volume(kFirst), "acme/1", "none")}), refused("V4", 6, "wants volumes encrypted"));
  World::edit(policy, "encrypt", "data=yes", "data=no");
  EXPECT_EQ(verdict({"+ " + with(volume(kFirst), "acme/1", "none")}), "accepted");
}

TEST_F(Verify, AVolumeIsNoLargerThanTheLargestDeviceWhereThePolicyNamesAny) {
  policy = policy + Texts{"device vg0/a mib=2047", "device vg0/b mib=2047"};
  EXPECT_THAT(verdict({"+ " + volume(kFirst)}), refused("V4", 6, "it has 2048 MiB, and the largest of the policy's devices is for 2047"));
  World::edit(policy, "device vg0/b", "2047", "2048");
  EXPECT_EQ(verdict({"+ " + volume(kFirst)}), "accepted");
}

TEST_F(Verify, NoDeviceHoldsTwoVolumes) {
  policy = policy + Texts{"device vg0/a mib=2048"};
  EXPECT_THAT(verdict({"+ " + volume(kFirst), "+ " + volume(kSecond)}), refused("V4", 7, "2 volumes of more than 0 MiB, and the policy has 1 devices for such"));
  policy = policy + Texts{"device vg0/b mib=4096"};
  EXPECT_EQ(verdict({"+ " + volume(kFirst), "+ " + volume(kSecond)}), "accepted");
  World::edit(policy, "device vg0/a", "2048", "2047");
  EXPECT_THAT(verdict({"+ " + volume(kFirst), "+ " + volume(kSecond)}), refused("V4", 7, "2 volumes of more than 2047 MiB, and the policy has 1 devices for such"));
}

TEST_F(Verify, AVolumeThatStandsHasItsDeviceUntilItIsRemoved) {
  policy = policy + Texts{"device vg0/a mib=2048"};
  const std::string of_gone_pool = with(volume(kFirst), "acme/web", "acme/gone");
  World::edit(projection, "prune", "pools=no", "pools=yes");
  state = kNetwork + Texts{of_gone_pool};
  EXPECT_THAT(verdict({"+ " + volume(kSecond)}), refused("V4", 6, "2 volumes of more than 0 MiB"));
  EXPECT_EQ(verdict({"- " + of_gone_pool, "+ " + volume(kSecond)}), "accepted");
}

TEST_F(Verify, WithoutDevicesThereMayBeAnyNumberOfVolumes) {
  EXPECT_EQ(verdict({"+ " + volume(kFirst), "+ " + volume(kSecond), "+ " + volume(kThird)}), "accepted");
}

TEST_F(Verify, APolicyNamesSoManyDevicesAndNoMore) {
  const auto device = [](int i) { return std::string("device vg0/") + static_cast<char>('a' + i / 10) + static_cast<char>('0' + i % 10) + " mib=1"; };
  for (int i = 0; i < 32; ++i) policy.push_back(device(i));
  EXPECT_EQ(told(verify_policy(policy_text())), "accepted");
  policy.push_back(device(32));
  EXPECT_THAT(told(verify_policy(policy_text())), refused("V1", 0, "has 33 device lines; the limit is 32"));
}

TEST_F(Verify, SnapshotsHaveAKeyWhereThePolicyWantsIt) {
  state = kNetwork + warm(kFirst);
  EXPECT_THAT(verdict({"+ " + with(snapshot(kFirst), "acme/1", "none")}), refused("V4", 6, "wants snapshots encrypted"));
  World::edit(policy, "encrypt", "snapshots=yes", "snapshots=no");
  EXPECT_EQ(verdict({"+ " + with(snapshot(kFirst), "acme/1", "none")}), "accepted");
}

TEST_F(Verify, ListedEgressNeedsAList) {
  state = {kBridge};
  World::edit(projection, "rule acme", "egress=nat", "egress=listed");
  const Texts listed = {"+ " + with(kRule, "egress=nat", "egress=listed")};
  EXPECT_THAT(verdict(listed), refused("V4", 6, "lists no egress"));
  policy = policy + Texts{"egress subnet=192.0.2.0/24"};
  EXPECT_EQ(verdict(listed), "accepted");
}

TEST_F(Verify, APolicyHasALineOfEachKind) {
  EXPECT_EQ(told(verify_policy(policy_text())), "accepted");
  for (const std::string word : {"cidr", "uids", "limits", "instance", "encrypt", "coordinator"}) {
    World world;
    World::drop(world.policy, word);
    EXPECT_THAT(told(verify_policy(world.policy_text())), refused("V1", 0, "has no " + word + " line"));
    EXPECT_THAT(world.verdict(Texts{}), refused("V1", 0, "has no " + word + " line"));
  }
}

TEST_F(Verify, APolicyListsSoManySubnetsAndNoMore) {
  for (const std::string word : {"egress", "closed"}) {
    World world;
    for (int i = 0; i < 64; ++i) world.policy.push_back(word + " subnet=20.0." + std::to_string(i) + ".0/24");
    EXPECT_EQ(told(verify_policy(world.policy_text())), "accepted");
    world.policy.push_back(word + " subnet=20.1.0.0/24");
    EXPECT_THAT(told(verify_policy(world.policy_text())), refused("V1", 0, "has 65 " + word + " lines; the limit is 64"));
  }
}

}  // namespace
}  // namespace mvm::lang::build
