// mvm-storage with grants that a test gives it, and keys that anyone can work out.
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdlib>

#include "broker/storage/worker.h"
#include "tests/sandbox/given_grants.h"
#include "tests/storage/fixed_keys.h"

int main(int argc, char** argv) {
  const auto grants = mvm::test::given_grants("storage", 2);
  // Nobody takes the session here.
  std::array<int, 2> session{};
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, session.data()) != 0) return 1;
  if (session[0] != mvm::storage::kSessionFd && dup2(session[0], mvm::storage::kSessionFd) < 0) return 1;
  std::_Exit(mvm::storage::run(grants.grants(), {argv + 1, static_cast<std::size_t>(argc - 1)}, mvm::storage::fixed_keys));
}
