// What gate must have before its sandbox closes, because its filter grants no system call for having it later: all its
// memory, and libraries that have set themselves up.
// Proven by: tests/gate/gate_test.cc, which parses the largest texts in the closed sandbox.
#pragma once

#include <cstddef>

namespace mvm::gate {

// The largest text (1 MiB), its 16,384 statements while their vector grows, and the FlatBuffer while it doubles, need less
// than half of it. A text that needed more would end gate, and with it the request.
inline constexpr std::size_t kHeapBytes = std::size_t{64} << 20;

// malloc takes from this heap from here on, and asks the kernel for nothing. Pages are had when first touched.
void prepare();

}  // namespace mvm::gate
