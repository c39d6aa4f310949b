// mvm-agentd: turns signed projections that lie in a directory into plans, and submits them to hostd. No privilege at all: what
// it sends is held to the signature and to the node's policy by hostd, which does not trust it.
#include <cstdlib>

#include "planner/run.h"
#include "seccomp/agentd.grants.h"

// _Exit: what libraries do at exit needs system calls that nothing else here does.
int main(int argc, char** argv) { std::_Exit(mvm::planner::run(argc, argv, mvm::grants::kAgentd)); }
