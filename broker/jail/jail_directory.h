// The directory that an instance is jailed in: <state>/jails/<tenant>/<pool>/firecracker/<instance>/root, laid out as the
// jailer makes it. Before the jailer runs it holds the kernel, the rootfs and an empty directory for what the instance has in memory
// (memory_directory.h); before the guest runs it is closed, so a VMM that is broken into can create nothing in it.
// Owns the descriptor of <state>. Needs CHOWN, DAC_OVERRIDE (the jail is its uid's), MKNOD. Proven by: tests/jail/jail_kernel_test.cc.
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
  JailDirectories(Fd state, std::string path) : state_(std::move(state)), path_(std::move(path)) {}

  // The jailer's --chroot-base-dir for the instance.
  [[nodiscard]] std::string base_path(const Subject& instance) const;
  // Of the jail's root: where the jailer makes it.
  [[nodiscard]] std::string root_path(const Subject& instance) const;
  // Makes it, with links to (or copies of) <state>/images/<digest>/{kernel,rootfs}. kNotFound: no such image. kDenied: the
  // image is not root's and 0444, or the path to <state> has a symlink or has been changed. What was made stays on an error.
  [[nodiscard]] Status prepare(const Subject& instance, const Digest& image);
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
  std::mutex tree_;  // held while directories above an instance's are made or pruned
};

// Takes the jail's directories from its uid: root's, 0711. The sockets in them stay its own.
[[nodiscard]] Status close_jail(int root);

// A node of /dev/userfaultfd, the uid's, where the jailer has not made one: it does so only where the device's minor has three digits.
// Needs MKNOD. kUnsupported: this kernel has none.
[[nodiscard]] Status place_userfaultfd(int root, uid_t uid);

}  // namespace mvm::jail
