// What an interrupted plan makes of the state: which lines go, so that each subject that was in the middle of it is at a
// verified state again. What goes has no line then and is swept with all other leaks. Pure.
// Forward, where the last statement begun was a removal: that one and the removals behind it. Back, where it was a '+': that
// one and those before it, as far as they follow each other. A move is what the kernel shows; a guest that was being told to park, or to go on, is
// taken as parked. A microVM that is awake goes on: it has nothing to go back to, for its snapshot is spent.
// Proven by: tests/supervisor/journal_test.cc.
#pragma once

#include <set>
#include <vector>

#include "broker/supervisor/host_state.h"
#include "broker/supervisor/journal.h"

namespace mvm::supervisor {

// The subjects whose lines changed. Marks' indices are the plan's.
[[nodiscard]] std::set<Subject> resolve(const lang::Document& plan, const std::vector<Mark>& marks, HostState& state);

}  // namespace mvm::supervisor
