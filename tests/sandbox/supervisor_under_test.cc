// setup() of a hostd whose grants are PREFIX/supervisor.policy, else as tests/supervisor/setup_test.cc has it: PREFIX GATE
// WORKER OWN-USER AGENT-USER BOOT-ID, and doubles for the workers.
#include <cstdlib>

#include "broker/supervisor/setup.h"
#include "seccomp/gate.grants.h"
#include "seccomp/policy_file.h"

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
  if (argc != 7) std::exit(64);
  const std::string prefix = argv[1];
  static const seccomp::Compiled given("supervisor", seccomp::read_policy(prefix + "/supervisor.policy"));
  static const sandbox::Grants grants = given.grants();
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
                       {kFakeJail, "root", argv[3], {"jail", prefix + "/kernel"}, {}, {}}}},
          .joints = {},
          .memory = {}};
}

}  // namespace mvm::supervisor
