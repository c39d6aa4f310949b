// mvm-pages with grants that a test gives it, on the first extra descriptor: the others move up to where it has them.
#include "broker/pages/serve.h"
#include "tests/sandbox/given_grants.h"

int main() {
  const auto grants = mvm::test::given_grants("pages");
  for (const int fd : {mvm::pages::kSnapshotFd, mvm::pages::kListenerFd}) {
    if (dup2(fd + 1, fd) < 0) return 1;
  }
  close(mvm::pages::kListenerFd + 1);
  return mvm::pages::run(grants.grants());
}
