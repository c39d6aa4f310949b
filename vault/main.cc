// mvm-vault: seals tenants' keys, which it asks a vault for, to this node's hostd, for agentd to carry. No privilege at all, and a user of its
// own; it alone on this node has keys in the clear that no plan has asked for yet.
#include <cstdlib>

#include "seccomp/vault.grants.h"
#include "vault/run.h"

// _Exit: what libraries do at exit needs system calls that nothing else here does.
int main(int argc, char** argv) { std::_Exit(mvm::vault::run(argc, argv, mvm::grants::kVault)); }
