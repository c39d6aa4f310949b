// The snapshot worker's life: open, take the storage worker's session, close the sandbox, serve until the supervisor goes away.
#pragma once

#include <span>

#include "broker/sandbox/grants.h"
#include "broker/snapshot/executor.h"
#include "sealing/seal.h"

namespace mvm::snapshot {

// Sockets that the supervisor made: from the storage worker, who makes the session that envelopes are sealed to; and to the jail worker.
inline constexpr int kSessionFd = 4, kLinkFd = 5;

using MakeKeyOf = Result<KeyOf> (*)(const SecretArena& arena);
// From the envelope that came with the task, opened with the session that kSessionFd gives.
[[nodiscard]] Result<KeyOf> sealed_keys(const SecretArena& arena);

// arguments: STATE, whose directory `snapshots` is this process's own, and MEMORY, the memory file system. Returns the exit status.
[[nodiscard]] int run(const sandbox::Grants& grants, std::span<const char* const> arguments, MakeKeyOf make_key_of = sealed_keys);

}  // namespace mvm::snapshot
