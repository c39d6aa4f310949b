// mvm-guest with grants that a test gives it.
#include <unistd.h>

#include <cstdlib>

#include "broker/guest/worker.h"
#include "tests/sandbox/given_grants.h"

int main() {
  const auto grants = mvm::test::given_grants("guest");
  // The policy came first, before what the supervisor gives it.
  if (dup2(mvm::guest_worker::kLinkFd + 1, mvm::guest_worker::kLinkFd) < 0) return 1;
  close(mvm::guest_worker::kLinkFd + 1);
  std::_Exit(mvm::guest_worker::run(grants.grants()));
}
