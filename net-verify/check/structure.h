// What there is against what there should be: links, masters, addresses, routes, settings, and what hangs on links that no rule of
// nftables shows. Each check has a name, and docs/net-verify.md says what it means. Pure.
// Proven by: tests/net-verify/verify_kernel_test.cc (each broken on a live node), structure_test.cc.
#pragma once

#include "net-verify/model/expected.h"
#include "net-verify/model/snapshot.h"
#include "net-verify/report.h"

namespace mvm::verify {

void check_structure(const Snapshot& snapshot, const Expected& expected, Report& report);

}  // namespace mvm::verify
