// What a worker keeps of instances as files: <tenant>/<pool>/<instance><suffix>, below a directory of its own.
// Owns nothing. Proven by: tests/storage/volumes_test.cc, tests/snapshot/files_test.cc.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "base/ids.h"

namespace mvm {

// The directories above an instance's file: tenant, pool.
[[nodiscard]] std::vector<std::string> directories_of(const Subject& instance);

struct PoolFiles {
  Name tenant, pool;
  int directory;  // of the pool, open while it is looked at
  std::vector<std::string> names;
};
using OpenDirectory = Result<Fd> (*)(int above, const std::string& name);
// Each pool's, one after the other; what is no directory, or has a name that is no tenant's or pool's, is passed over. Ends with the first error.
[[nodiscard]] Status for_each_pool(int root, OpenDirectory open, const std::function<Status(const PoolFiles&)>& look);

}  // namespace mvm
