// Every order, tried: what diff() is held against. Slow and obvious: from one of a subject's states to the other, a step removes what the
// first has, makes what the second has, or moves the jail, wherever verify_order() lets it; nothing is removed or made twice.
// Of diff.cc it shares nothing. Pure.
#pragma once

#include "policy-lang/state_index.h"
#include "policy-lang/statement.h"

namespace mvm::lang::test {

// Whether V2 accepts any plan from what `from` has of the subject to what `to` has of it. An instance's tenant takes part with
// its bridge and rule, its other instances do not; its pool's base is there as diff() has it meanwhile: `to`'s, or `from`'s where `to` has none.
[[nodiscard]] bool an_order_exists(const Document& from, const Document& to, const Subject& subject);

// The first statement that V2 refuses and why, or "".
[[nodiscard]] std::string refused_by_order(const Document& from, const Document& plan);

}  // namespace mvm::lang::test
