// What hangs on netfilter's hooks beside nftables' chains: functions of the kernel's own, whose names are judged, and BPF programs.
#pragma once

#include "base/error.h"
#include "net-verify/model/snapshot.h"
#include "net-verify/read/dump.h"

namespace mvm::verify {

// Asks for each hook that packets of ours may meet, by nfnetlink_hook; where the kernel has none of that, for BPF programs alone,
// by bpf(2) (BPF_LINK_GET_NEXT_ID, which needs CAP_SYS_ADMIN and shows those of all network namespaces). Chains and links are
// already in the snapshot.
void read_hooks(Reader& reader, Snapshot& snapshot);

}  // namespace mvm::verify
