// mvm-vault with grants that a test gives it.
#include <cstdlib>

#include "tests/sandbox/given_grants.h"
#include "vault/run.h"

int main(int argc, char** argv) {
  const auto grants = mvm::test::given_grants("vault");
  std::_Exit(mvm::vault::run(argc, argv, grants.grants()));
}
