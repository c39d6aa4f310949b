// Reads the network of this namespace from the kernel: rtnetlink, nf_tables, /proc/sys/net, and what BPF hangs on links.
// Needs CAP_NET_ADMIN: nf_tables and the routing rules are told to nobody else. Changes nothing.
// Proven by: tests/net-verify/verify_kernel_test.cc.
#pragma once

#include "base/error.h"
#include "net-verify/model/snapshot.h"

namespace mvm::verify {

inline constexpr int kReadTries = 8;  // of all of nftables, while its generation changes

// The error is of what nothing can be said without; what else could not be read stands in `unread`.
[[nodiscard]] Result<Snapshot> read_network();

}  // namespace mvm::verify
