// Text to values, for all five kinds. V1 in full: canonical form, limits, order of sorted kinds, and the digest on the
// `end` line. print(parse(t)) == t for every t that is accepted (a policy: for its form without comments and blank lines).
// May link PEGTL; nothing that holds power links this. One pass, no recursion, no backtracking; memory bounded by table.h.
// Proven by: tests/policy-lang/parse_test.cc, abnf_test.cc, fuzz/.
#pragma once

#include <string_view>

#include "policy-lang/statement.h"
#include "policy-lang/text_error.h"

namespace mvm::lang {

[[nodiscard]] Checked<Document> parse(Kind kind, std::string_view text);

}  // namespace mvm::lang
