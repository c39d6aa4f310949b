// What one process may do, as values. Made when building, from seccomp/<process>.policy, where each line says why; nothing
// reads a policy file at run time. Pure.
// Proven by: tests/sandbox/compile_test.cc, and each process's tests/sandbox/*_ablation_test.cc, which takes each grant away in turn.
#pragma once

#include <linux/capability.h>
#include <linux/filter.h>
#include <sys/resource.h>

#include <cstdint>
#include <span>
#include <string_view>

namespace mvm::sandbox {

// Bit n is capability n of linux/capability.h.
using CapSet = std::uint64_t;
[[nodiscard]] constexpr CapSet cap_bit(unsigned cap) { return CapSet{1} << cap; }

// Rights below a path (linux/landlock.h). A path is absolute, or "$name": a directory that main() opened and hands to
// enter() under that name.
struct PathGrant {
  std::string_view path;
  std::uint64_t access = 0;
};

struct LimitGrant {
  int resource = 0;  // RLIMIT_*
  rlim_t value = 0;  // soft and hard
};

// Whether the file system is closed by Landlock. Not for the jail worker: in a Landlock domain the kernel refuses mount and
// pivot_root, which the jailer needs, and the domain is inherited (Documentation/userspace-api/landlock.rst).
enum class Files : std::uint8_t { kLandlock, kInheritedByJailer };

// Whether capabilities outlive execve. Only for the worker whose job is to start the jailer.
enum class OverExec : std::uint8_t { kNothing, kCapabilities };

struct Grants {
  std::string_view process;
  std::string_view user;  // the system user it runs as
  CapSet capabilities = 0;
  OverExec over_exec = OverExec::kNothing;
  Files files = Files::kLandlock;
  std::span<const PathGrant> paths;
  std::span<const LimitGrant> limits;
  std::uint16_t connect_port = 0;  // the one TCP port that it may connect to, where the kernel's Landlock can say so; 0: none. Configuration: main() sets it
  std::span<const sock_filter> filter;  // default action KILL_PROCESS, this machine's architecture alone
};

}  // namespace mvm::sandbox
