// Makes a sentence that was drawn from GRAMMAR.abnf keep the rules that ABNF cannot tell: numbers into their ranges, host
// bits zero, no '-' at the end of a name, statements sorted and each once, the digest of the `end` line.
#pragma once

#include <string>

#include "policy-lang/table.h"

namespace mvm::lang::test {

[[nodiscard]] std::string mend(Kind kind, const std::string& text);
// Only the digest of the last `end` line.
[[nodiscard]] std::string mend_end(const std::string& text);

}  // namespace mvm::lang::test
