// The difference of two states, as a plan, and what a plan does to a state.
// Laws (tests/policy-lang/laws_test.cc): apply(a, diff(a, b)) == b; diff(a, a) is empty; a prefix of a plan followed by its
// inverse gives back the state before. Also diff_test.cc and apply_test.cc.
#pragma once

#include <vector>

#include "policy-lang/statement.h"
#include "policy-lang/text_error.h"

namespace mvm::lang {

// The plan that leads from `from` to `to`, in an order that V2 accepts wherever one exists. Its header: node, generation
// and desired of `to`; base is the digest of `from`. Removals come first, so that slots and quota are free again. A thing
// that changes is removed and made again, with all that stands on it. Sleep and wake are recognised (docs/language.md).
[[nodiscard]] Document diff(const Document& from, const Document& to);

// `state` with `plan` carried out; refuses only what makes no sense on states at all (removing what is not there, making
// what is there, a move from a state it is not in). Sets generation and desired.
[[nodiscard]] Checked<Document> apply(const Document& state, const Document& plan);

// Statement by statement, last first, signs turned. To be carried out right after `statements`.
[[nodiscard]] std::vector<Statement> inverse(const std::vector<Statement>& statements);

}  // namespace mvm::lang
