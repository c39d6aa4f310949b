// One expression of a rule. Pure. Proven by: tests/net-verify/decode_test.cc, fuzz/net_verify_decode_fuzz.cc.
#pragma once

#include "net-verify/read/decode.h"

namespace mvm::verify {

[[nodiscard]] Result<Expr> decode_expr(Bytes bytes);        // NFTA_LIST_ELEM of a rule
[[nodiscard]] Result<Verdict> decode_verdict(Bytes bytes);  // NFTA_DATA_VERDICT
[[nodiscard]] Status decode_value(Bytes bytes, Data& data);  // NFTA_DATA_VALUE in its nest

}  // namespace mvm::verify
