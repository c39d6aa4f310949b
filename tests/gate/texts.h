// Documents that the tests of gate send as text, and that lying gates begin from.
#pragma once

#include <algorithm>
#include <utility>

#include "policy-lang/print.h"
#include "policy-lang/statement.h"
#include "tests/schemas/samples.h"

namespace mvm::test {

inline lang::Header header_of(lang::Kind kind) {
  lang::Header header;
  if (kind == lang::Kind::kManifest) {
    header.flake = *FlakeRef::from("github:acme/images/4f2c#worker");
    return header;
  }
  header.node = *Name::from("node-7");
  if (kind == lang::Kind::kPolicy) return header;
  header.generation = 42;
  if (kind == lang::Kind::kProjection) return header;
  header.has_desired = true;
  header.desired = digest_of(1);
  if (kind == lang::Kind::kPlan) header.base = digest_of(2);
  return header;
}

inline lang::Document a_plan() {
  return {lang::Kind::kPlan, header_of(lang::Kind::kPlan), one_of_each(lang::Sign::kAdd)};
}

inline lang::Document a_state() {
  lang::Document state{lang::Kind::kState, header_of(lang::Kind::kState), one_of_each(lang::Sign::kNone)};
  std::ranges::sort(state.statements, lang::canonical_less);
  return state;
}

inline lang::Document a_projection() {
  using enum lang::Word;
  const Subnet other{0x0af00400, 24};
  return {lang::Kind::kProjection,
          header_of(lang::Kind::kProjection),
          {make(lang::Sign::kNone, kPrune, {}, {lang::kNo, lang::kYes}),
           make(lang::Sign::kNone, kTenant, acme(), {3, kAcmeSubnet.packed(), 16, 32768, 8, 4, 10, 32, 65536, 1}, {digest_of(3)}),
           make(lang::Sign::kNone, kTenant, tenant_subject(*Name::from("zeta")), {4, other.packed(), 1, 512, 1, 0, 1, 1, 0, 0})}};
}

inline lang::Document a_policy() {
  using enum lang::Word;
  return {lang::Kind::kPolicy,
          header_of(lang::Kind::kPolicy),
          {make(lang::Sign::kNone, kCidr, {}, {test::kCidr.packed()}), make(lang::Sign::kNone, kUids, {}, {100'000, 1 << 20}),
           make(lang::Sign::kNone, kLimits, {}, {8, 64, 64, 65536, 1 << 20}), make(lang::Sign::kNone, kPerInstance, {}, {128, 0}),
           make(lang::Sign::kNone, kEncrypt, {}, {1, 1}), make(lang::Sign::kNone, kCoordinator, {}, {1}, {digest_of(9)})}};
}

inline lang::Document a_manifest() {
  using enum lang::Word;
  return {lang::Kind::kManifest,
          header_of(lang::Kind::kManifest),
          {make(lang::Sign::kNone, kLock, {}, {1}, {digest_of(4)}), make(lang::Sign::kNone, kKernel, {}, {1, 4096}, {digest_of(5)}),
           make(lang::Sign::kNone, kRootfs, {}, {1, 256}, {digest_of(6)})}};
}

// As many statements as a text may hold, or as many as fit into a MiB; about as long as a text can be.
inline lang::Document the_largest_plan() {
  lang::Document plan{lang::Kind::kPlan, header_of(lang::Kind::kPlan), {}};
  std::size_t bytes = 512;
  for (std::uint32_t i = 0; plan.statements.size() < lang::kMaxStatements; ++i) {
    plan.statements.push_back(make(lang::Sign::kAdd, lang::Word::kTap, instance(i), {3 + i % 1000}));
    bytes += lang::print(plan.statements.back()).size() + 1;
    if (bytes > lang::kMaxTextBytes) break;
  }
  if (bytes > lang::kMaxTextBytes) plan.statements.pop_back();
  return plan;
}

// Not of the language, though print() can spell them: a gate that accepts them lies about the text's form, not its words.
inline lang::Document with_a_slot_out_of_bounds() {
  lang::Document plan = a_plan();
  for (auto& statement : plan.statements) {
    if (statement.word == lang::Word::kTap) statement.numbers[0] = lang::kFirstSlot - 1;
  }
  return plan;
}
inline lang::Document out_of_order() {
  lang::Document projection = a_projection();
  std::swap(projection.statements[1], projection.statements[2]);
  return projection;
}
inline lang::Document with_a_line_twice() {
  lang::Document projection = a_projection();
  projection.statements.push_back(projection.statements.back());
  return projection;
}
inline lang::Document with_a_tenant_twice() {
  lang::Document projection = a_projection();
  projection.statements.push_back(projection.statements.back());
  projection.statements.back().numbers[2] = 2;
  return projection;
}
inline lang::Document with_a_word_of_another_kind() {
  lang::Document projection = a_projection();
  projection.statements.push_back(make(lang::Sign::kNone, lang::Word::kTap, instance(), {5}));
  std::ranges::sort(projection.statements, lang::canonical_less);
  return projection;
}

}  // namespace mvm::test
