// What a wake takes, from the snapshot worker, which has the key, to the jail worker, which starts page servers: one packet on a socket that these
// two alone have (SOCK_SEQPACKET, made by the supervisor at start), and only ever this way. The data key is not in it: it waits in the page server's
// own channel, which the jail worker passes on and does not read.
// Owns the descriptors that it carries. Proven by: tests/snapshot/hand_over_test.cc.
#pragma once

#include <cstdint>

#include "base/digest.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/ids.h"

namespace mvm::snapshot {

struct HandOver {
  Subject instance;
  Digest line;          // of the snapshot, which boot=snapshot: names
  Digest vmm;           // SHA-256 of the version of Firecracker that it was written by
  Fd ours, theirs;      // the page server's channel: the order is in it
  Fd file;              // sealed, for reading
  Fd base;              // the same of what it stands on; invalid: it is no diff
  Fd state;             // Firecracker's state in the clear, in memory (memfd_create(2))
};

[[nodiscard]] Status send_hand_over(int link, const HandOver& hand_over);
// What has come, or kNotFound: nothing has. Does not wait. kClosed: the other end has gone. kMalformed: it is no hand-over.
[[nodiscard]] Result<HandOver> receive_hand_over(int link);

}  // namespace mvm::snapshot
