// mvm-jail CGROUP STATE FIRECRACKER MEMORY PAGES USER BLOCK MISC: makes and ends microVMs, by the jailer, and starts page servers for those that wake. Its input is
// tasks on descriptor 3; its work is in the executor.
#include "broker/jail/worker.h"
#include "seccomp/jail.grants.h"
#include "seccomp/pages.grants.h"

int main(int argc, char** argv) { return mvm::jail::run(mvm::grants::kJail, mvm::grants::kPages, std::span(argv, argc).subspan(argc > 0 ? 1 : 0)); }
