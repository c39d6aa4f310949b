// A place where the tests' build of hostd can be made to die: around each mark of the journal. In production nothing is
// behind it (fault_none.cc); the tests link another definition. Proven by: tests/docs/links.py.
#pragma once

#include <cstdint>

namespace mvm::supervisor {

enum class Side : std::uint8_t { kBefore, kAfter };
// `nth`: of this process's marks, from 1.
void at_mark(std::uint64_t nth, Side side);

}  // namespace mvm::supervisor
