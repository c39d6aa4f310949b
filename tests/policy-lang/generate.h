// Nodes that make sense: a policy, a projection, states that life on such a node leaves, and plans for them, most of which
// are allowed; and near misses of those. Everything follows from the seed.
#pragma once

#include <cstdint>
#include <string>

#include "policy-lang/statement.h"
#include "policy-lang/verify.h"
#include "tests/policy-lang/forms.h"

namespace mvm::lang::test {

// What a node is told. Two or three tenants, with a pool or two each; quotas and limits mostly wide, now and then tight.
struct World {
  Document policy;
  Document projection;
};
[[nodiscard]] World random_world(Random& random);

// A state of that world in which nothing clashes: instances that run, are warm, sleep, are stopped, or are half made.
// kReachable: one that plans lead to. kAny: now and then a line is not what it should be.
enum class States : std::uint8_t { kReachable, kAny };
[[nodiscard]] Document random_state(const World& world, States states, Random& random);

// A plan that starts instances, stops them, puts them to sleep, wakes or destroys them, statement by statement; each is
// tried on the reference verifier first, and only rarely taken when that refuses it.
[[nodiscard]] Document random_plan(const World& world, const Document& state, Random& random);

struct Case {
  World world;
  Document state;
  Document plan;
  [[nodiscard]] Against against() const { return {state, world.projection, world.policy}; }
  [[nodiscard]] std::string text() const;  // all four, for a failure's message
};
// A plan by random_plan() or by diff() to another state of the world.
[[nodiscard]] Case random_case(Random& random);
// The same, from a state that is reachable.
[[nodiscard]] Case reachable_case(Random& random);
// Something small is wrong: a line swapped, dropped, doubled, or one of its values, its subject or its sign changed; or the
// header, the projection or the policy.
void mutate(Case& one, Random& random);

}  // namespace mvm::lang::test
