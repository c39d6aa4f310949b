// setup() of the tests' build of hostd.
#include "seccomp/supervisor.grants.h"
#include "tests/supervisor/setup_with_doubles.h"

namespace mvm::supervisor {

Setup setup(int argc, char** argv) {
  (void)prefix_of(argc, argv);
  return setup_with_doubles(argv, grants::kSupervisor);
}

}  // namespace mvm::supervisor
