// mvm-jail with grants that a test gives it.
#include "broker/jail/worker.h"
#include "tests/sandbox/given_grants.h"

int main(int argc, char** argv) {
  const auto grants = mvm::test::given_grants("jail");
  return mvm::jail::run(grants.grants(), std::span(argv, argc).subspan(1));
}
