// What netlink does not tell: settings of links in /proc/sys/net, BPF on links, and filters that are not nftables'.
#pragma once

#include "net-verify/model/snapshot.h"

namespace mvm::verify {

// net.ipv4.conf.* and, of net.ipv6.conf.*, disable_ipv6 and forwarding (as "forwarding6"). A file that is not there is left out.
void read_settings(Snapshot& snapshot);
// tcx programs, by bpf(2) BPF_PROG_QUERY.
void read_programs(Snapshot& snapshot);
// iptables' own tables, which nftables knows nothing of.
void read_other_filters(Snapshot& snapshot);

}  // namespace mvm::verify
