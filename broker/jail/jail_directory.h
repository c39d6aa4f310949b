// The directory that an instance is jailed in: <state>/jails/<tenant>/<pool>/firecracker/<instance>/root, laid out as the
// jailer makes it. Before the jailer runs it holds the kernel, which is checked as it is copied, nodes of its drives and an empty directory for what the instance has in memory
// (memory_directory.h); before the guest runs it is closed, so a VMM that is broken into can create nothing in it.
// Owns the descriptors of <state> and /sys/block. Needs CHOWN, DAC_OVERRIDE (the jail is its uid's), MKNOD. Proven by: tests/jail/jail_kernel_test.cc.
#pragma once

#include <sys/types.h>

#include <mutex>
#include <string>
#include <vector>

#include "base/digest.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/ids.h"
#include "broker/jail/file_drives.h"
#include "schemas/worker.h"

namespace mvm::jail {

class JailDirectories {
 public:
  // `path`: of `state`, absolute; the jailer is told paths, and this is where they begin.
  // `block`: /sys/block, where devices are found by their names.
  JailDirectories(Fd state, std::string path, Fd block) : state_(std::move(state)), path_(std::move(path)), block_(std::move(block)) {}

  // The jailer's --chroot-base-dir for the instance.
  [[nodiscard]] std::string base_path(const Subject& instance) const;
  // Of the jail's root: where the jailer makes it.
  [[nodiscard]] std::string root_path(const Subject& instance) const;
  // Makes it. kDenied: the path to <state> has a symlink or has been changed. What was made stays on an error, here and below.
  [[nodiscard]] Status prepare(const Subject& instance);
  // A node of the image's device as `rootfs`, to read. kNotFound: it is not open.
  [[nodiscard]] Status place_rootfs(const Subject& instance, const Digest& image, uid_t uid);
  // Copies <state>/images/<digest>/kernel into it, root's and 0444. kNotFound: no such image. kDenied: it is not root's and 0444. kCorrupt: what is
  // in the jail then is not that kernel.
  [[nodiscard]] Status place_kernel(const Subject& instance, const Digest& image, const lang::KernelView& kernel);
  // Once the guest has it in its memory.
  [[nodiscard]] Status remove_kernel(const Subject& instance);
  // Block devices in the jail's root, its uid's alone: the only place where there is a node of them.
  [[nodiscard]] Status place_drives(const Subject& instance, wire::DriveSet drives, uid_t uid);
  // Those drives that are files, given to the uid, and what is to be bound to what for them.
  [[nodiscard]] Result<std::vector<Bind>> give_file_drives(const Subject& instance, wire::DriveSet drives, uid_t uid) const;
  // The jail's root. kNotFound: there is none.
  [[nodiscard]] Result<Fd> open_root(const Subject& instance) const;
  // Removes it and what is then empty above. Nothing may live in it. Already gone is success.
  [[nodiscard]] Status remove(const Subject& instance);
  [[nodiscard]] Result<std::vector<Subject>> list() const;

 private:
  [[nodiscard]] Status check_path() const;
  [[nodiscard]] Result<Fd> make_root(const Subject& instance);
  Fd state_;
  std::string path_;
  Fd block_;
  std::mutex tree_;  // held while directories above an instance's are made or pruned
};

// Takes the jail's directories from its uid: root's, 0711. The sockets in them stay its own.
[[nodiscard]] Status close_jail(int root);

// A node of /dev/userfaultfd, the uid's, where the jailer has not made one: it does so only where the device's minor has three digits.
// Needs MKNOD. kUnsupported: this kernel has none.
[[nodiscard]] Status place_userfaultfd(int root, uid_t uid);

}  // namespace mvm::jail
