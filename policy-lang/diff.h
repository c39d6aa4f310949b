// The difference of two states, as a plan, and what a plan does to a state.
// Laws (tests/policy-lang/laws_test.cc): apply(a, diff(a, b)) == b, in an order that V2 accepts; where diff(a, b) finds none, trying
// every order finds none; diff(a, a) is empty; a prefix of a plan followed by its inverse gives back the state before. Also
// diff_test.cc and apply_test.cc.
#pragma once

#include <expected>
#include <vector>

#include "policy-lang/statement.h"
#include "policy-lang/text_error.h"

namespace mvm::lang {

// Why no plan leads from one state to another: whom it fails for, and the statement that V2 refuses in any order. Line 0.
struct NoOrder {
  Subject subject;
  Refusal refusal;
};

// The plan that leads from `from` to `to`, in an order that V2 accepts; NoOrder where none does. Its header: node, generation
// and desired of `to`; base is the digest of `from`. Removals come first, so that slots and quota are free again. A thing
// that changes is removed and made again, with all that stands on it. Sleep and wake are recognised. What of two states has an
// order, and what has none: docs/language.md, "Diff". O(n log n).
[[nodiscard]] std::expected<Document, NoOrder> diff(const Document& from, const Document& to);

// `state` with `plan` carried out; refuses only what makes no sense on states at all (removing what is not there, making
// what is there, a move from a state it is not in). Sets generation and desired.
[[nodiscard]] Checked<Document> apply(const Document& state, const Document& plan);

// Statement by statement, last first, signs turned. To be carried out right after `statements`.
[[nodiscard]] std::vector<Statement> inverse(const std::vector<Statement>& statements);

}  // namespace mvm::lang
