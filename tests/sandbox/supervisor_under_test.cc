// setup() of a hostd whose grants are PREFIX/supervisor.policy.
#include "seccomp/policy_file.h"
#include "tests/supervisor/setup_with_doubles.h"

namespace mvm::supervisor {

Setup setup(int argc, char** argv) {
  static const seccomp::Compiled given("supervisor", seccomp::read_policy(prefix_of(argc, argv) + "/supervisor.policy"));
  static const sandbox::Grants grants = given.grants();
  return setup_with_doubles(argv, grants);
}

}  // namespace mvm::supervisor
