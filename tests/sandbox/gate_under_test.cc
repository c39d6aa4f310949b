// mvm-gate with grants that a test gives it.

#include "broker/gate/run.h"
#include "tests/sandbox/given_grants.h"

int main() {
  const auto grants = mvm::test::given_grants("gate");
  mvm::gate::run(grants.grants());
}
