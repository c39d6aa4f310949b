// A socket below a jail's root where its VMM listens. The VMM may be hostile: it is connected to without following a name that it could have
// changed, and it must be the jail's own process.
// Owns nothing. Proven by: tests/jail/api_test.cc, tests/jail/jail_kernel_test.cc.
#pragma once

#include <sys/types.h>

#include "base/error.h"
#include "base/fd.h"

namespace mvm::jail {

inline constexpr const char* kApiSocket = "run/firecracker.socket";  // below the jail's root; /run/... inside
inline constexpr const char* kVsockSocket = "run/v.sock";            // where the host's side of its vsock begins (docs/vsock.md of Firecracker)

// Who must be at the other end: the jail's uid, and a process of the instance's cgroup.
struct Peer {
  uid_t uid = 0;
  int cgroup = -1;
};

// A non-blocking stream. kNotFound: no socket there yet, or nobody listens, or too many wait. kDenied: no socket, or somebody else's.
[[nodiscard]] Result<Fd> connect_to_vmm(int jail_root, const char* name, const Peer& peer);

}  // namespace mvm::jail
