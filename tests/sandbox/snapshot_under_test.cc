// mvm-snapshot with grants that a test gives it, and keys that anyone can work out.
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "broker/snapshot/worker.h"
#include "tests/sandbox/given_grants.h"

namespace {

mvm::Result<mvm::snapshot::KeyOf> known_keys(const mvm::SecretArena& arena) {
  return mvm::snapshot::KeyOf([arena](const mvm::wire::Task& task, std::uint32_t version) {
    auto key = arena.take(32);
    if (key) std::ranges::fill(key->bytes(), static_cast<std::uint8_t>(task.statement.subject.tenant.view()[0] + version));
    return key;
  });
}

}  // namespace

int main(int argc, char** argv) {
  const auto grants = mvm::test::given_grants("snapshot", 2);
  std::_Exit(mvm::snapshot::run(grants.grants(), {argv + 1, static_cast<std::size_t>(argc - 1)}, known_keys));
}
