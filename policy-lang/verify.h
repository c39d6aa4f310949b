// Is this plan allowed, here, now? V2 to V6 of docs/language.md. (V1 is parse(); the supervisor checks it by print().)
// Time linear in the sizes of plan and state (up to a logarithm of a bounded table), memory at most two states and the plan.
// Proven by: tests/policy-lang/verify_*_test.cc, one test a clause, and against a second implementation in reference_test.cc.
#pragma once

#include "policy-lang/statement.h"
#include "policy-lang/text_error.h"

namespace mvm::lang {

struct Against {
  const Document& state;       // what is
  const Document& projection;  // signed; whoever calls has checked the signature
  const Document& policy;
};

// A plan that may run. There is no way to have one but verify().
class VerifiedPlan {
 public:
  [[nodiscard]] const Document& plan() const { return plan_; }
  [[nodiscard]] const Document& after() const { return after_; }  // the state it leads to

 private:
  friend Checked<VerifiedPlan> verify(Document plan, const Against& against);
  VerifiedPlan(Document plan, Document after) : plan_(std::move(plan)), after_(std::move(after)) {}
  Document plan_;
  Document after_;
};

[[nodiscard]] Checked<VerifiedPlan> verify(Document plan, const Against& against);

// A state by itself, as a host that starts again reads it: V3, and that all stands that each line needs. V4 and V5 are held
// against what is made, not against what stands.
[[nodiscard]] Checked<void> verify_state(const Document& state, const Document& policy);

// The line of a canonical text of that kind that its first statement has.
[[nodiscard]] std::uint32_t first_statement_line(Kind kind);

// A projection by itself: V3 and V4 over its own statements (subnets disjoint, in the cidr, net ids unique, pools of named
// tenants only, counts within the tenant's quota).
[[nodiscard]] Checked<void> verify_projection(const Document& projection, const Document& policy);

// A policy by itself: exactly one each of cidr, uids, limits, instance, encrypt; at least one coordinator.
[[nodiscard]] Checked<void> verify_policy(const Document& policy);

}  // namespace mvm::lang
