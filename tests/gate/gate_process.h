// Starts a gate (the real one, or one that lies) as the supervisor does, and ends it.
#pragma once

#include <gtest/gtest.h>

#include "broker/sandbox/spawn.h"
#include "seccomp/gate.grants.h"
#include "tests/sandbox/worker_process.h"

namespace mvm::test {

inline sandbox::Worker start_gate(const Runnable& executable, const sandbox::Grants& grants,
                                  std::span<const std::string> arguments = {}, std::span<const int> extra = {}) {
  return started({.executable = executable.fd(),
                  .grants = grants,
                  .user = {kNobodyElse, kNobodyElse},
                  .channel = sandbox::Channel::kStream,
                  .extra = extra,
                  .arguments = arguments});
}

}  // namespace mvm::test
