// The one process of a microVM that is up: found in its cgroup, and, while it is put to sleep, read. To read it takes no capability over other processes
// (CAP_SYS_PTRACE would reach all of them): it is opened as the microVM's own user, by the calling thread, for the moment (setfsuid(2)); so what the kernel lets be
// read is that user's, which has nothing but its VMM. Where the VMM is not to be read (it is not dumpable; a security module says so), that is an error.
// Owns the descriptors. Needs SETUID and SETGID. ptrace(2), "Ptrace access mode checking"; proc(5).
// Proven by: tests/jail/sleep_kernel_test.cc, tests/jail/held_kernel_test.cc.
#pragma once

#include <sys/types.h>

#include <string>

#include "base/error.h"
#include "base/fd.h"
#include "broker/jail/guest_memory.h"

namespace mvm::jail {

// The process of a microVM that is up.
struct Vmm {
  Fd pidfd;
};
// Certainly in the cgroup: opened by number, and then looked for once more. kNotFound: none. kBusy: more than one.
[[nodiscard]] Result<Vmm> vmm_in(int cgroup);

class VmmProcess {
 public:
  // The one in the cgroup, which runs as `uid`.
  [[nodiscard]] static Result<VmmProcess> open(int cgroup, uid_t uid);

  enum class Waits : std::uint8_t { kNo, kYes };
  // Whether its first thread, which is Firecracker's own, is in the middle of opening that path, and waits.
  [[nodiscard]] Result<Waits> waits_to_open(const std::string& path) const;
  [[nodiscard]] Result<GuestMemory> find_memory(std::uint64_t bytes) const;
  // /proc/PID/mem and pagemap, for reading. Once.
  [[nodiscard]] Fd take_memory() { return std::move(memory_); }
  [[nodiscard]] Fd take_pagemap() { return std::move(pagemap_); }

 private:
  VmmProcess(Fd directory, uid_t uid) : directory_(std::move(directory)), uid_(uid) {}
  [[nodiscard]] Status open_all();
  Fd directory_;  // /proc/PID
  uid_t uid_;
  Fd memory_, pagemap_;
};

}  // namespace mvm::jail
