// mvm-vault with grants that a test gives it; and with a variable that would have libcurl write the secrets of its connections into a file.
#include <cstdlib>
#include <string>
#include <string_view>

#include "tests/sandbox/given_grants.h"
#include "vault/run.h"

int main(int argc, char** argv) {
  const auto grants = mvm::test::given_grants("vault");
  for (int i = 1; i + 1 < argc; ++i) {
    if (std::string_view(argv[i]) == "--sealed") setenv("SSLKEYLOGFILE", (std::string(argv[i + 1]) + "/keylog").c_str(), 1);
  }
  std::_Exit(mvm::vault::run(argc, argv, grants.grants()));
}
