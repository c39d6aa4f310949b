// What a field's value looks like, in words: for refusals and for the manual. Pure.
#pragma once

#include <string>

#include "policy-lang/table.h"

namespace mvm::lang {

// "a number from 3 to 1048574, without a leading zero"
[[nodiscard]] std::string describe(const Field& field);
// "no or yes", "none, nat or listed"
[[nodiscard]] std::string one_of(std::span<const std::string_view> words);

}  // namespace mvm::lang
