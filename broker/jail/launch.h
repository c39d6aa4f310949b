// Starts the jailer, by its own command line, in a mount namespace that has the instance's memory directory and its drives that are files in the jail's root, and as a process that is in the instance's cgroup from its first instruction
// (clone3(2): CLONE_INTO_CGROUP, CLONE_PIDFD). The jailer makes the mount and pid namespaces, the devices and the change of
// uid; it ends when the VMM runs, so the VMM is nobody's child here and outlives this worker.
// Owns the pidfd and what the jailer said. Proven by: tests/jail/requests_test.cc, tests/jail/jail_kernel_test.cc.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "base/ids.h"
#include "broker/jail/deadline.h"
#include "broker/jail/file_drives.h"

namespace mvm::jail {

// No more descriptors than Firecracker wants. No file that the VMM writes grows beyond the guest's memory, which is what the longest of them is;
// they are all in memory, and of its own cgroup.
inline constexpr std::uint64_t kMaxVmmFds = 2048;
inline constexpr std::size_t kMaxSaid = 4096;  // bytes kept of what the jailer and the VMM print
inline constexpr std::chrono::milliseconds kJailerTime{20'000};

struct JailerArguments {
  InstanceId id;
  std::string firecracker;  // absolute path, checked: no symlink in it
  std::string base;         // absolute path of <state>/jails/<tenant>/<pool>, checked likewise
  uid_t uid = 0;            // and gid
  std::uint64_t mem_mib = 0;
};

// argv of the jailer, v1.10 to v1.16. No --cgroup: it starts in its cgroup. --new-pid-ns: a VMM that is broken into sees no
// process but itself, and all it forks ends with it.
[[nodiscard]] std::vector<std::string> jailer_command(const JailerArguments& arguments);

// What the jailer and the VMM print before the guest runs, for error texts. A memfd that cannot grow, so a VMM that prints
// for ever fills 4 KiB.
class Said {
 public:
  [[nodiscard]] static Result<Said> make();
  [[nodiscard]] int fd() const { return memory_.get(); }
  [[nodiscard]] std::string quoted() const;  // quote()d

 private:
  explicit Said(Fd memory) : memory_(std::move(memory)) {}
  Fd memory_;
};

// Runs `jailer` (opened, checked) in `cgroup` until it exits with 0. kDenied: it did not; `on` says what it printed.
// kTimeout: it is still there; the caller kills the cgroup.
[[nodiscard]] Status run_jailer(int jailer, int cgroup, const std::vector<std::string>& command, std::span<const Bind> binds, const Said& said, Deadline deadline);

}  // namespace mvm::jail
