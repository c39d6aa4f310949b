// setup() of the tests' build of hostd: PREFIX GATE WORKER OWN-USER AGENT-USER BOOT-ID. Everything lives below PREFIX; the workers
// the workers that hold power are doubles (fake_worker.cc) whose kernel is the directory PREFIX/kernel.
#include "broker/supervisor/setup.h"

#include <cstdio>
#include <cstdlib>

#include "seccomp/gate.grants.h"
#include "seccomp/supervisor.grants.h"

namespace mvm::supervisor {
namespace {

constexpr sandbox::Grants double_of(std::string_view process) {
  sandbox::Grants grants;
  grants.process = process;
  grants.user = "root";
  return grants;
}
constexpr sandbox::Grants kFakeNet = double_of("net"), kFakeStorage = double_of("storage"), kFakeSnapshot = double_of("snapshot"), kFakeJail = double_of("jail");

}  // namespace

Setup setup(int argc, char** argv) {
  if (argc != 7) {
    std::fprintf(stderr, "usage: %s PREFIX GATE WORKER OWN-USER AGENT-USER BOOT-ID\n", argv[0]);
    std::exit(64);
  }
  const std::string prefix = argv[1];
  return {.state = prefix + "/state",
          .run = prefix + "/run",
          .policy = prefix + "/node.policy",
          .credentials = prefix + "/credentials",
          .cgroup = {},
          .boot_id = argv[6],
          .agent_user = argv[5],
          .own_user = argv[4],
          .grants = grants::kSupervisor,
          .gate = {grants::kGate, "nobody", argv[2], {}, {}, {}},
          .workers = {{{kFakeNet, "root", argv[3], {"net", prefix + "/kernel"}, {}, {}},
                       {kFakeStorage, "root", argv[3], {"storage", prefix + "/kernel"}, {}, {}},
                       {kFakeSnapshot, "root", argv[3], {"snapshot", prefix + "/kernel"}, {}, {}},
                       {kFakeJail, "root", argv[3], {"jail", prefix + "/kernel"}, {}, {}}}},
          .joints = {},
          .memory = {}};
}

}  // namespace mvm::supervisor
