// What goes between the snapshot worker, which has the keys, and the jail worker, which has the VMMs: packets on a socket that these two alone have (SOCK_SEQPACKET,
// made by the supervisor at start). To the jail worker, what a wake takes. The data key is not in it: it waits in the page server's own channel, which the jail
// worker passes on and does not read. To the snapshot worker, the memory of a VMM that is held while it is put to sleep, to be read.
// Owns the descriptors that it carries. Proven by: tests/snapshot/hand_over_test.cc.
#pragma once

#include <array>
#include <cstdint>

#include "base/digest.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/ids.h"
#include "base/stretch.h"

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

// Of a VMM that leaves its guest's memory alone until it is let go.
struct HeldMemory {
  Subject instance;
  Digest line;                           // of the snapshot that it is for
  std::array<Stretch, 2> stretches = {};  // in the guest's order; those of no bytes are none
  Fd memory;                             // /proc/PID/mem, for reading
  Fd pagemap;                            // /proc/PID/pagemap; invalid: a page that is not there need not be zeros
};

[[nodiscard]] Status send_held_memory(int link, const HeldMemory& held);
// As receive_hand_over(). Where a stretch lies is for the one who reads to check.
[[nodiscard]] Result<HeldMemory> receive_held_memory(int link);

}  // namespace mvm::snapshot
