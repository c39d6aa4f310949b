// A ramfs of the test's own, that is mounted nowhere (fsopen(2)). Needs root; without, the descriptor is none.
#pragma once

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"

namespace mvm::test {

inline Fd ramfs() {
  const Fd context(static_cast<int>(syscall(SYS_fsopen, "ramfs", FSOPEN_CLOEXEC)));
  if (!context.valid() || syscall(SYS_fsconfig, context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) return Fd();
  const Fd mounted(static_cast<int>(syscall(SYS_fsmount, context.get(), FSMOUNT_CLOEXEC, 0)));
  return mounted.valid() ? Fd(openat(mounted.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)) : Fd();
}

}  // namespace mvm::test
