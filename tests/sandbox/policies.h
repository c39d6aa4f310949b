// Grants that tests make up: a policy's text, compiled as the build would.
#pragma once

#include <sys/mman.h>

#include <fstream>
#include <string>
#include <vector>

#include "base/fd.h"
#include "seccomp/policy_file.h"

namespace mvm::test {

// A user that no system has and nothing else runs as.
inline constexpr unsigned kNobodyElse = 64'999;

inline std::vector<seccomp::Line> lines_of(const std::string& text) {
  const Fd file(memfd_create("policy", MFD_CLOEXEC));
  const std::string path = "/proc/self/fd/" + std::to_string(file.get());
  std::ofstream(path) << text;
  return seccomp::read_policy(path);
}

inline seccomp::Compiled compiled(const std::string& text) {
  return {"test", lines_of("user nobody : a test's\nallow exit_group : to end\n" + text)};
}

}  // namespace mvm::test
