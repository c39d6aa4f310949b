// What every hostd of the tests has: all below PREFIX, and doubles (fake_worker.cc) for the workers that hold power, whose kernel is the directory
// PREFIX/kernel. Its command line: PREFIX GATE WORKER OWN-USER AGENT-USER BOOT-ID.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>

#include "broker/supervisor/setup.h"
#include "seccomp/gate.grants.h"

namespace mvm::supervisor {

constexpr sandbox::Grants double_of(std::string_view process) {
  sandbox::Grants grants;
  grants.process = process;
  grants.user = "root";
  return grants;
}
inline constexpr sandbox::Grants kFakeNet = double_of("net"), kFakeStorage = double_of("storage"), kFakeSnapshot = double_of("snapshot"),
                                 kFakeJail = double_of("jail"), kFakeGuest = double_of("guest");

// PREFIX. Ends the process where the command line is not what it takes.
inline std::string prefix_of(int argc, char** argv) {
  if (argc == 7) return argv[1];
  std::fprintf(stderr, "usage: %s PREFIX GATE WORKER OWN-USER AGENT-USER BOOT-ID\n", argv[0]);
  std::exit(64);
}

inline Setup setup_with_doubles(char** argv, const sandbox::Grants& grants) {
  const std::string prefix = argv[1];
  return {.state = prefix + "/state",
          .run = prefix + "/run",
          .policy = prefix + "/node.policy",
          .credentials = prefix + "/credentials",
          .cgroup = {},
          .boot_id = argv[6],
          .agent_user = argv[5],
          .own_user = argv[4],
          .grants = grants,
          .gate = {grants::kGate, "nobody", argv[2], {}, {}, {}},
          .workers = {{{kFakeNet, "root", argv[3], {"net", prefix + "/kernel"}, {}, {}},
                       {kFakeStorage, "root", argv[3], {"storage", prefix + "/kernel"}, {}, {}},
                       {kFakeSnapshot, "root", argv[3], {"snapshot", prefix + "/kernel"}, {}, {}},
                       {kFakeJail, "root", argv[3], {"jail", prefix + "/kernel"}, {}, {}},
                       {kFakeGuest, "root", argv[3], {"guest", prefix + "/kernel"}, {}, {}}}},
          .joints = {},
          .memory = {}};
}

}  // namespace mvm::supervisor
