// mvm-vault's life: reads its configuration and its credentials, opens what it watches, gives up all but its grants (seccomp/vault.policy and
// one TCP port), and serves rounds until it is ended. Part of the executable, not of the room.
// Proven by: tests/sandbox/vault_ablation_test.cc, tests/node/storage/vault_test.sh.
#pragma once

#include "broker/sandbox/grants.h"

namespace mvm::vault {

// The exit code: 64 (EX_USAGE) for another command line than it takes; 78 (EX_CONFIG) where its configuration or its credentials are none;
// 71 (EX_OSERR) where memory cannot be locked; 75 (EX_TEMPFAIL) where a directory is not there, or no longer the one that it may use, so that it has to be
// started again. With --once: 0 where all that is wanted is sealed, 1 where not.
[[nodiscard]] int run(int argc, char** argv, const sandbox::Grants& grants);

}  // namespace mvm::vault
