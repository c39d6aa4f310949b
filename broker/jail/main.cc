// mvm-jail CGROUP STATE FIRECRACKER: makes and ends microVMs, by the jailer. Its input is tasks on descriptor 3; its work is
// in the executor.
#include "broker/jail/worker.h"
#include "seccomp/jail.grants.h"

int main(int argc, char** argv) { return mvm::jail::run(mvm::grants::kJail, std::span(argv, argc).subspan(argc > 0 ? 1 : 0)); }
