// mvm-jail with grants that a test gives it.
#include <unistd.h>

#include "broker/jail/worker.h"
#include "seccomp/pages.grants.h"
#include "tests/sandbox/given_grants.h"

int main(int argc, char** argv) {
  const auto grants = mvm::test::given_grants("jail");
  // The policy came first, before what the supervisor gives it.
  for (const int fd : {mvm::jail::kLinkFd, mvm::jail::kGuestsFd}) {
    if (dup2(fd + 1, fd) < 0) return 1;
  }
  close(mvm::jail::kGuestsFd + 1);
  return mvm::jail::run(grants.grants(), mvm::grants::kPages, std::span(argv, argc).subspan(1));
}
