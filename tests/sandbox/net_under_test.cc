// mvm-net with grants that a test gives it.
#include "broker/net/worker.h"
#include "tests/sandbox/given_grants.h"

int main() {
  const auto grants = mvm::test::given_grants("net");
  return mvm::net::run(grants.grants());
}
