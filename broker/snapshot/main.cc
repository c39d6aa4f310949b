// mvm-snapshot: seals and hands over snapshots. Takes tasks of the supervisor on descriptor 3.
#include <cstdlib>

#include "broker/snapshot/worker.h"
#include "seccomp/snapshot.grants.h"

int main(int argc, char** argv) {
  // What libraries do at exit needs system calls that nothing else here does.
  std::_Exit(mvm::snapshot::run(mvm::grants::kSnapshot, {argv + 1, static_cast<std::size_t>(argc - 1)}));
}
