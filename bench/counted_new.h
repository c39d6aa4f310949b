// What a piece of work takes from the heap at most: the program's operator new and delete, counted.
#pragma once

#include <cstddef>

namespace mvm::bench {

// Bytes that are allocated now, as the allocator rounds them.
[[nodiscard]] std::size_t heap_now();
// The most there were since the last call of reset_heap_peak().
[[nodiscard]] std::size_t heap_peak();
void reset_heap_peak();

}  // namespace mvm::bench
