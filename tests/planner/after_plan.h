// One round of a node on which every plan succeeds, for tests of what rests. A plan that does not verify fails the test.
#pragma once

#include <gtest/gtest.h>

#include "planner/compile.h"
#include "planner/executed.h"
#include "planner/idle.h"
#include "policy-lang/print.h"
#include "policy-lang/verify.h"
#include "tests/planner/texts.h"

namespace mvm::planner {

// What a plan for the state, with those resting and held, makes of it; it must verify.
inline lang::Document after_plan(const lang::Document& state, const lang::Document& wanted, const Rests& rests, const std::set<Subject>& held = {}, const std::set<Subject>& deaf = {},
                    std::uint32_t seq = 1) {
  const lang::Document policy = test::policy();
  const Compiled compiled = compile({state, wanted, policy, kExecuted, seq, deaf, rests, held});
  if (!compiled.needed) return state;
  const auto verified = lang::verify(compiled.plan, {state, wanted, policy});
  EXPECT_TRUE(verified) << (verified ? "" : verified.error().message()) << lang::print(compiled.plan);
  return verified ? verified->after() : state;
}

inline Phase phase_of(const lang::Document& state, const Subject& subject) {
  const Fleet fleet = read_fleet(state);
  const auto found = fleet.instances.find(subject);
  return found == fleet.instances.end() ? Phase::kStopped : found->second.phase();
}

}  // namespace mvm::planner
