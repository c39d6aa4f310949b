// V6 and a projection by itself: a test for each clause of docs/language.md.
#include "world.h"

namespace mvm::lang::build {
namespace {

TEST_F(Verify, AllFourNameOneNode) {
  const Document plan = plan_text({});
  Document other_state = state_text(), other_policy = policy_text(), other_projection = projection_text();
  other_state.header.node = other_policy.header.node = other_projection.header.node = name("node-8");
  EXPECT_THAT(verdict(plan, other_policy, projection_text(), state_text()), refused("V6", 2, "the policy is of node node-8"));
  EXPECT_THAT(verdict(plan, policy_text(), other_projection, state_text()), refused("V6", 2, "the projection is of node node-8"));
  EXPECT_THAT(verdict(plan, policy_text(), projection_text(), other_state), refused("V6", 2, "the state is of node node-8"));
  Document other_plan = plan;
  other_plan.header.node = name("node-8");
  EXPECT_THAT(verdict(other_plan), refused("V6", 2, "is of node node-7"));
}

TEST_F(Verify, AStaleBaseIsRefused) {
  const Document plan = plan_text({"- " + kRule});
  EXPECT_EQ(verdict(plan), "accepted");
  state = kNetwork + sleeping(kFirst);
  EXPECT_THAT(verdict(plan), refused("V6", 5, "the state of the host is sha256:"));
}

TEST_F(Verify, AnotherProjectionThanTheOneNamedIsRefused) {
  const Document plan = plan_text({});
  World::edit(projection, "tenant acme", "running=4", "running=5");
  EXPECT_THAT(verdict(plan), refused("V6", 4, "the projection is sha256:"));
}

TEST_F(Verify, APlanHasTheGenerationOfItsProjection) {
  Document plan = plan_text({});
  plan.header.generation = 8;
  EXPECT_THAT(verdict(plan), refused("V6", 3, "the projection is of generation 7"));
}

TEST_F(Verify, AGenerationBelowTheHostsIsRefused) {
  state_generation = 7;
  EXPECT_EQ(verdict(Texts{}), "accepted");
  state_generation = 8;
  EXPECT_THAT(verdict(Texts{}), refused("V6", 3, "generation 8 has been applied"));
}

TEST_F(Verify, OneGenerationHasOneProjection) {
  Document now = state_text();
  now.header.generation = 7;
  now.header.has_desired = true;
  now.header.desired = text_digest(projection_text());
  Document plan = plan_text({});
  plan.header.base = text_digest(now);
  EXPECT_EQ(verdict(plan, policy_text(), projection_text(), now), "accepted");
  now.header.desired = digest("d5");
  plan.header.base = text_digest(now);
  EXPECT_THAT(verdict(plan, policy_text(), projection_text(), now), refused("V6", 3, "from another projection"));
  now.header.generation = 6;
  plan.header.base = text_digest(now);
  EXPECT_EQ(verdict(plan, policy_text(), projection_text(), now), "accepted");
}

TEST_F(Verify, TheStateAfterCarriesGenerationAndDesiredOfThePlan) {
  const Document policy_now = policy_text(), projection_now = projection_text(), state_now = state_text();
  const auto verified = verify(plan_text({"- " + kRule}), {.state = state_now, .projection = projection_now, .policy = policy_now});
  ASSERT_TRUE(verified.has_value());
  EXPECT_EQ(verified->after().kind, Kind::kState);
  EXPECT_EQ(verified->after().header.node, name("node-7"));
  EXPECT_EQ(verified->after().header.generation, 7u);
  EXPECT_TRUE(verified->after().header.has_desired);
  EXPECT_EQ(verified->after().header.desired, text_digest(projection_now));
  EXPECT_EQ(verified->after().statements, lines({kBridge}));
  EXPECT_EQ(verified->plan(), plan_text({"- " + kRule}));
}

TEST_F(Verify, TheFirstRefusalInTheOrderOfTheRulesIsTold) {
  // The statement breaks V2; base is stale too.
  Document plan = plan_text({"- " + volume(kFirst)});
  plan.header.base = digest("d1");
  EXPECT_THAT(verdict(plan), refused("V6", 5, ""));
  // A later statement breaks V2, an earlier one V5.
  EXPECT_THAT(verdict({"+ " + with(stand(kFirst)[0], "cpu=200", "cpu=201"), "- " + volume(kSecond)}), refused("V5", 6, "cpu=201"));
}

// The projection alone, and as a plan's.
std::string projected(const World& world) {
  const std::string alone = World::told(verify_projection(world.projection_text(), world.policy_text()));
  EXPECT_EQ(alone, world.verdict(Texts{}));
  return alone;
}

TEST_F(Verify, AProjectionsSubnetsLieInTheCidrAndDoNotOverlap) {
  EXPECT_EQ(projected(*this), "accepted");
  World::edit(projection, "tenant beta", "10.240.4.0/24", "10.239.4.0/24");
  EXPECT_THAT(projected(*this), refused("V3", 8, "is not inside the policy's cidr"));
  World::edit(projection, "tenant beta", "10.239.4.0/24", "10.240.0.0/20");
  EXPECT_THAT(projected(*this), refused("V3", 8, "overlaps 10.240.3.0/24 of tenant acme"));
  World::edit(projection, "tenant beta", "10.240.0.0/20", "10.240.4.0/30");
  EXPECT_THAT(projected(*this), refused("V3", 8, "a prefix of 12 to 29"));
}

TEST_F(Verify, AProjectionsNetIdsAreUnique) {
  World::edit(projection, "tenant beta", "net=4", "net=3");
  EXPECT_THAT(projected(*this), refused("V3", 8, "net id 3 is that of tenant acme"));
}

TEST_F(Verify, AProjectionsPoolsAndRulesAreOfNamedTenants) {
  World::drop(projection, "tenant beta");
  EXPECT_THAT(projected(*this), refused("V3", 8, "there is no tenant beta"));
  World::drop(projection, "pool beta");
  EXPECT_EQ(projected(*this), "accepted");
  projection.push_back("rule aaa egress=nat pps=0 mbps=0 cps=0");
  EXPECT_THAT(projected(*this), refused("V3", 5, "there is no tenant aaa"));
}

TEST_F(Verify, AProjectionsPoolsAreWithinTheQuota) {
  projection.push_back(with(projection[3], "acme/web", "acme/xx"));
  World::edit(projection, "pool acme/xx", "running=3 warm=1 sleeping=1", "running=0 warm=0 sleeping=0");
  EXPECT_EQ(projected(*this), "accepted");
  World::edit(projection, "tenant acme", "pools=2", "pools=1");
  EXPECT_THAT(projected(*this), refused("V4", 8, "2 pools; its quota is 1"));
}

TEST_F(Verify, AProjectionsCountsAreWithinTheQuotas) {
  struct Case { std::string from, to, why; };
  for (const Case& each : {Case{"running=4", "running=3", ""}, Case{"running=4", "running=2", "3 running instances; its quota is 2"},
                           Case{"warm=2", "warm=1", ""}, Case{"warm=2", "warm=0", "1 warm instances; its quota is 0"},
                           Case{"vcpus=8", "vcpus=7", "8 vcpus; its quota is 7"}, Case{"mem=4096", "mem=4095", "4096 MiB of memory; its quota is 4095"},
                           Case{"instances=6", "instances=5", ""}, Case{"instances=6", "instances=4", "5 instances of one pool; its quota is 4"},
                           Case{"disk=12288", "disk=10240", ""}, Case{"disk=12288", "disk=10239", "10240 MiB of disk; its quota is 10239"}}) {
    World world;
    World::edit(world.projection, "tenant acme", each.from, each.to);
    if (each.why.empty()) EXPECT_EQ(projected(world), "accepted") << each.to;
    else EXPECT_THAT(projected(world), refused("V4", 7, each.why)) << each.to;
  }
}

TEST_F(Verify, AProjectionsQuotasHoldForTheSumOfATenantsPoolsAndForEachTenantAlone) {
  projection.push_back(with(projection[3], "acme/web", "acme/xx"));
  World::edit(projection, "pool acme/xx", "running=3 warm=1 sleeping=1", "running=2 warm=0 sleeping=0");
  EXPECT_THAT(projected(*this), refused("V4", 8, "5 running instances; its quota is 4"));
  World::edit(projection, "pool acme/xx", "running=2", "running=0");
  World::edit(projection, "tenant beta", "running=4", "running=2");
  EXPECT_EQ(projected(*this), "accepted");
}

}  // namespace
}  // namespace mvm::lang::build
