// mvm-storage: volumes and their devices. Takes tasks of the supervisor on descriptor 3.
#include <cstdlib>

#include "broker/storage/worker.h"
#include "seccomp/storage.grants.h"

int main(int argc, char** argv) {
  // What libraries do at exit needs system calls that nothing else here does.
  std::_Exit(mvm::storage::run(mvm::grants::kStorage, {argv + 1, static_cast<std::size_t>(argc - 1)}));
}
