// For a worker under test: its grants as the test gave them (a policy's text on the first extra descriptor), not as the
// build compiled them. Only executables of the tests link this; the workers themselves know one set of grants, their own.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "base/fd.h"
#include "broker/sandbox/spawn.h"
#include "seccomp/policy_file.h"

namespace mvm::test {

// `extra`: how many descriptors the supervisor would give the worker. They came behind the policy, and are moved to where they would be.
inline seccomp::Compiled given_grants(const char* process, int extra = 0) {
  seccomp::Compiled grants(process, seccomp::read_policy("/proc/self/fd/" + std::to_string(sandbox::kFirstExtraFd)));
  for (int fd = sandbox::kFirstExtraFd; fd < sandbox::kFirstExtraFd + extra; ++fd) {
    if (dup2(fd + 1, fd) < 0) std::abort();
  }
  close(sandbox::kFirstExtraFd + extra);
  return grants;
}

inline Fd to_give(const std::vector<seccomp::Line>& lines) {
  Fd file(memfd_create("policy", MFD_CLOEXEC));
  std::string text;
  for (const auto& line : lines) text += line.text() + " : " + line.reason + "\n";
  if (write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) std::abort();
  lseek(file.get(), 0, SEEK_SET);
  return file;
}

}  // namespace mvm::test
