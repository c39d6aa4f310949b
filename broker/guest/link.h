// A connection to a microVM's vsock, from the jail worker, which can make one, to the guest worker, which speaks: one packet on a socket that these two
// alone have (SOCK_SEQPACKET, made by the supervisor at start), and only ever this way.
// Owns the connection that it carries. Proven by: tests/guest-worker/link_test.cc.
#pragma once

#include "base/error.h"
#include "base/fd.h"
#include "base/ids.h"

namespace mvm::guest_worker {

struct Connected {
  Subject instance;
  Fd connection;  // a stream, to where Firecracker listens for the host's side of its vsock
};

[[nodiscard]] Status send_connected(int link, const Connected& connected);
// What has come, or kNotFound: nothing has. Does not wait. kClosed: the other end has gone. kMalformed: it is no connection.
[[nodiscard]] Result<Connected> receive_connected(int link);

}  // namespace mvm::guest_worker
