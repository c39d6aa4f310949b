// mvm-net: the worker with CAP_NET_ADMIN. Makes and removes bridges, rules and taps, one task at a time, and says what is
// there. Reads tasks of the supervisor and netlink answers of the kernel, and nothing else.
#include "broker/net/worker.h"
#include "seccomp/net.grants.h"

int main() { return mvm::net::run(mvm::grants::kNet); }
