// mvm-guest with grants that a test gives it.
#include <unistd.h>

#include <cstdlib>

#include "broker/guest/worker.h"
#include "tests/sandbox/given_grants.h"

int main() {
  const auto grants = mvm::test::given_grants("guest", 1);
  std::_Exit(mvm::guest_worker::run(grants.grants()));
}
