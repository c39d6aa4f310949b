// One microVM from nothing to running, and back to nothing. Every step of a make that fails is followed by the undoing of
// all of it, here, in sight: kill what is in the cgroup, wait, remove the jail.
// Owns the cgroups and the jails of the node; nothing it knows is kept anywhere but in the kernel and the file system.
// Proven by: tests/jail/jail_kernel_test.cc.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "broker/jail/api.h"
#include "broker/jail/cgroup.h"
#include "broker/jail/jail_directory.h"
#include "schemas/worker.h"

namespace mvm::jail {

// Until all that was killed is gone. A process in an uninterruptible wait on a dead disk can take longer; then it is said.
inline constexpr std::chrono::milliseconds kKillTime{10'000};
// Until a VMM that was started listens.
inline constexpr std::chrono::milliseconds kListenTime{10'000};

// The process of a microVM that is up.
struct Vmm {
  Fd pidfd;
};

class Microvms {
 public:
  // `firecracker`: absolute path of the directory that has `firecracker` and `jailer`.
  Microvms(Cgroups& cgroups, JailDirectories& jails, std::string firecracker)
      : cgroups_(cgroups), jails_(jails), firecracker_(std::move(firecracker)) {}

  // The statement is a jail's. On an error nothing of it is left, or the error says so.
  [[nodiscard]] Result<Vmm> make(const lang::Statement& jail, const wire::Place& place);
  // Ends it, waits until it is gone, and removes its jail. Already gone is success. The cgroup stays.
  [[nodiscard]] Status unmake(const Subject& instance);
  // running>warm, warm>running.
  [[nodiscard]] Status move(const lang::Statement& jail);

  // The one process of a microVM that is up; kNotFound: none.
  [[nodiscard]] Result<Vmm> find(const Subject& instance) const;
  // lang::kRunning or kWarm, by its own word. kDenied: it was never started.
  [[nodiscard]] Result<std::uint64_t> state(const Subject& instance) const;

 private:
  [[nodiscard]] Result<Vmm> build(const lang::Statement& jail, const wire::Place& place, int cgroup);
  [[nodiscard]] Status launch(const Subject& instance, const wire::Place& place, int cgroup, const class Said& said);
  [[nodiscard]] Result<Api> connect(const Subject& instance, int cgroup) const;

  Cgroups& cgroups_;
  JailDirectories& jails_;
  std::string firecracker_;
};

}  // namespace mvm::jail
