// The storage worker's life: open, see that LUKS works, close the sandbox, serve until the supervisor goes away.
#pragma once

#include <memory>
#include <span>

#include "broker/sandbox/grants.h"
#include "broker/storage/key_source.h"

namespace mvm::storage {

// Descriptors that the supervisor opened for it, as root: /dev/mapper/control and /dev/loop-control.
inline constexpr int kDeviceMapperFd = 4, kLoopControlFd = 5;
// A socket that the supervisor made: to the snapshot worker, which opens envelopes of the same offer and is given the session, once.
inline constexpr int kSessionFd = 6;

using MakeKeys = std::unique_ptr<KeySource> (*)(const sealing::Session& session);
[[nodiscard]] std::unique_ptr<KeySource> sealed_keys(const sealing::Session& session);

// arguments: STATE, whose directories `volumes`, `nodes` and `drives` are this process's own, and `images` root's; `drives` is a ramfs. Returns the exit status.
[[nodiscard]] int run(const sandbox::Grants& grants, std::span<const char* const> arguments, MakeKeys make_keys = sealed_keys);

}  // namespace mvm::storage
