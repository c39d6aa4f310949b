// What has to come sealed for a statement of a plan. The same for who looks for envelopes (agentd) and who insists on them (hostd). Pure.
// Proven by: tests/supervisor/keys_test.cc.
#pragma once

#include <vector>

#include "policy-lang/statement.h"
#include "sealing/envelope.h"

namespace mvm::wire {

// In the order in which the statement names it. A '+' of what has a key, or content, needs it; nothing else does.
[[nodiscard]] std::vector<sealing::Label> needs_of(const lang::Statement& statement, const Name& node, std::uint64_t generation);

}  // namespace mvm::wire
