// mvm-guest: speaks to the daemons in guests. Takes tasks of the supervisor on descriptor 3, and connections of the jail worker on 4.
#include <cstdlib>

#include "broker/guest/worker.h"
#include "seccomp/guest.grants.h"

int main() {
  // What libraries do at exit needs system calls that nothing else here does.
  std::_Exit(mvm::guest_worker::run(mvm::grants::kGuest));
}
