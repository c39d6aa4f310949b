// The storage worker's life: open, see that LUKS works, close the sandbox, serve until the supervisor goes away.
#pragma once

#include <memory>
#include <span>

#include "broker/sandbox/grants.h"
#include "broker/storage/arguments.h"
#include "broker/storage/key_source.h"

namespace mvm::storage {

using MakeKeys = std::unique_ptr<KeySource> (*)(const sealing::Session& session);
[[nodiscard]] std::unique_ptr<KeySource> sealed_keys(const sealing::Session& session);

// arguments: as arguments.h has them. The state directory is one whose directories `volumes`, `nodes` and `drives` are this process's own, and `images` root's; `drives` is a ramfs. Returns the exit status.
[[nodiscard]] int run(const sandbox::Grants& grants, std::span<const char* const> arguments, MakeKeys make_keys = sealed_keys);

}  // namespace mvm::storage
