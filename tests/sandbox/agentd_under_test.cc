// mvm-agentd with grants that a test gives it.
#include <cstdlib>

#include "planner/run.h"
#include "tests/sandbox/given_grants.h"

int main(int argc, char** argv) {
  const auto grants = mvm::test::given_grants("agentd");
  std::_Exit(mvm::planner::run(argc, argv, grants.grants()));
}
