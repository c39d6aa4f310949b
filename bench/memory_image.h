// A memory image like a small server's, for benchmarks: a third zeros, most of the rest text, pointers and code-like bytes that compress, a
// tenth noise. The same at every run.
#pragma once

#include <cstdint>
#include <vector>

namespace mvm::bench {

[[nodiscard]] std::vector<std::uint8_t> memory_image(std::size_t bytes);

}  // namespace mvm::bench
