// Single questions to the kernel, for preflight. Each leaves the host as it was.
#pragma once

#include <string>

#include "base/error.h"

namespace mvm::cli {

[[nodiscard]] Result<int> kvm_api_version();
// Tables of the inet, bridge and netdev families and a set can be made and are gone again; in a namespace of its own.
[[nodiscard]] Status probe_nftables();
[[nodiscard]] int landlock_abi();             // 0: none
[[nodiscard]] bool seccomp_can_kill_process();
[[nodiscard]] bool has_pidfd();
[[nodiscard]] bool has_clone3();
[[nodiscard]] bool has_openat2();
[[nodiscard]] bool has_userfaultfd();
[[nodiscard]] Result<std::string> first_line_of(const std::string& program, const std::string& argument);

}  // namespace mvm::cli
