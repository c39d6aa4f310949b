// What has to come sealed for a statement of a plan. The same for who looks for envelopes (agentd) and who insists on them (hostd). Pure.
// Proven by: tests/supervisor/keys_test.cc.
#pragma once

#include <vector>

#include "policy-lang/statement.h"
#include "sealing/envelope.h"

namespace mvm::wire {

// In the order in which the statement names it. A '+' of what has a key, or content, needs it; a '~' of a volume its old key and its new
// one; and a jail that boots from a snapshot the key that the snapshot's line names. Nothing else does. `snapshot`: the instance's line
// as it stands before the statement; none where there is none.
[[nodiscard]] std::vector<sealing::Label> needs_of(const lang::Statement& statement, const Name& node, std::uint64_t generation,
                                                   const lang::Statement* snapshot = nullptr);
// Of each statement of a plan that starts from `state`.
[[nodiscard]] std::vector<std::vector<sealing::Label>> needs_of_plan(const lang::Document& plan, const lang::Document& state);

}  // namespace mvm::wire
