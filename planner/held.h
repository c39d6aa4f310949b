// A directory that a grant speaks of. The grant is for the directory that was opened, whatever has its name later.
// Proven by: tests/sandbox/agentd_ablation_test.cc, tests/sandbox/vault_ablation_test.cc.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "base/fd.h"

namespace mvm::planner {

struct Held {
  std::string_view name;  // "$desired"
  std::string path;
  Fd fd;
};

[[nodiscard]] Result<Held> hold(std::string_view name, std::string path);
// Whether what has the path now is the directory that was opened.
[[nodiscard]] bool is_still_there(const Held& held);
[[nodiscard]] std::string directory_of(const std::string& file);

}  // namespace mvm::planner
