// What the snapshot worker is asked: one task in, one answer out, or several pages of an inventory. One task at a time.
//   kMake       of a snapshot: seals what the jail worker had written into the memory file system, and the memory that it gave to be read (docs/sleep.md); of a
//               base: seals the memory of a full snapshot again; and answers with the file's digest
//   kHandOver   of a `+ jail` that boots from a snapshot: unwraps its key, sees that it is the one that was meant and fits, and gives a wake's things
//               to the jail worker
//   kSpend      the same jail has loaded it: its key goes
//   kUnmake     the file goes
// A tenant's key is had for one task, and gone with it.
// Owns nothing; what it works on is in Host. Proven by: tests/sandbox/snapshot_ablation_test.cc, tests/node/sleep/.
#pragma once

#include <functional>
#include <vector>

#include "base/secret.h"
#include "broker/snapshot/files.h"
#include "broker/snapshot/host_fits.h"
#include "schemas/worker.h"

namespace mvm::snapshot {

// How long a page server waits for the VMM that is started meanwhile, in milliseconds.
inline constexpr std::uint32_t kPatience = 60'000;

// The key of that version of the task's tenant. kDenied: it is not with the task.
using KeyOf = std::function<Result<Secret>(const wire::Task& task, std::uint32_t version)>;

// What main() opened.
struct Host {
  Files files;
  Fd memory;  // the memory file system's directory
  Fd link;    // to the jail worker (hand_over.h)
  HostFits fits;
  SecretArena arena;
  KeyOf key_of;
};

[[nodiscard]] std::vector<wire::Answer> dispatch(Host& host, const wire::Task& task);

}  // namespace mvm::snapshot
