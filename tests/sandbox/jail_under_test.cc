// mvm-jail with grants that a test gives it.
#include <unistd.h>

#include "broker/jail/worker.h"
#include "seccomp/pages.grants.h"
#include "tests/sandbox/given_grants.h"

int main(int argc, char** argv) {
  const auto grants = mvm::test::given_grants("jail", 2);
  return mvm::jail::run(grants.grants(), mvm::grants::kPages, std::span(argv, argc).subspan(1));
}
