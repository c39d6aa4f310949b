// Two ends of a Unix socket, for tests that play who is at the other one.
#pragma once

#include <sys/socket.h>

#include <cstdlib>

#include "base/fd.h"

namespace mvm::test {

// `type`: SOCK_SEQPACKET or SOCK_STREAM, and SOCK_NONBLOCK where neither end is to wait. Both are closed on exec.
inline void socket_pair(int type, Fd& one, Fd& other) {
  int ends[2];
  if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) != 0) std::abort();
  one = Fd(ends[0]);
  other = Fd(ends[1]);
}

}  // namespace mvm::test
