// A name that anybody may have chosen, as one word of a line that people read. Pure. Proven by: tests/base/one_word_test.cc.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace mvm {

inline constexpr std::size_t kMaxWord = 64;  // characters; what is longer ends with "..."

// Of graphic ASCII alone and without ';', so that no name passes for more than one thing, or moves a cursor; other bytes as \xNN.
[[nodiscard]] std::string one_word(std::string_view name);

}  // namespace mvm
