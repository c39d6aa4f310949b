// mvm-pages: serves the pages of one microVM that wakes, out of its sealed snapshot, and ends when all of them are in.
#include "broker/pages/serve.h"
#include "seccomp/pages.grants.h"

int main() { return mvm::pages::run(mvm::grants::kPages); }
