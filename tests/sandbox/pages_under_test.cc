// mvm-pages with grants that a test gives it, on the first extra descriptor: the others move up to where it has them.
#include "broker/pages/serve.h"
#include "tests/sandbox/given_grants.h"

int main() {
  const auto grants = mvm::test::given_grants("pages");
  for (const int fd : {mvm::pages::kSnapshotFd, mvm::pages::kListenerFd, mvm::pages::kBaseFd}) {
    if (dup2(fd + 1, fd) < 0 && fd != mvm::pages::kBaseFd) return 1;
  }
  close(mvm::pages::kBaseFd + 1);
  return mvm::pages::run(grants.grants());
}
