#include "broker/jail/jail_directory.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <vector>

#include "base/derived.h"
#include "base/hasher.h"
#include "broker/beneath/beneath.h"
#include "broker/jail/cgroup.h"
#include "broker/jail/drive_nodes.h"
#include "broker/jail/memory_directory.h"
#include "broker/jail/way.h"

namespace mvm::jail {
namespace {

constexpr const char* kJails = "jails";
constexpr unsigned kMiscMajor = 10;
constexpr const char* kExecName = "firecracker";  // the jailer names a directory after the executable
constexpr const char* kKernel = "kernel";
constexpr std::size_t kChunk = 256 << 10;
// What the jailer makes and gives to the uid, innermost first, and at last the root itself.
constexpr std::array<const char*, 4> kJailFolders = {"run", "dev/net", "dev", "."};

std::vector<std::string> above_jail(const Subject& instance) {
  return {kJails, std::string(instance.tenant.view()), std::string(instance.pool.view()), kExecName};
}

std::string joined(const std::vector<std::string>& names) {
  std::string path;
  for (const std::string& name : names) path += (path.empty() ? "" : "/") + name;
  return path;
}

Result<struct stat> stat_of(int fd, const std::string& name) {
  struct stat info{};
  const int read = fstat(fd, &info);
  const int saved = errno;
  if (read != 0) return fail_errno(saved, "fstat", name);
  return info;
}

Status write_all(int to, std::string_view bytes, const char* name) {
  while (!bytes.empty()) {
    const ssize_t wrote = write(to, bytes.data(), bytes.size());
    const int saved = errno;
    if (wrote < 0) return fail_errno(saved, "write", name);
    bytes.remove_prefix(static_cast<std::size_t>(wrote));
  }
  return {};
}

// What is hashed is what is written, so whatever becomes of the image meanwhile, the jail has the kernel that was meant or none.
Status copy_kernel(int from, int to, const lang::KernelView& kernel) {
  Sha256 hasher;
  std::vector<char> chunk(kChunk);
  std::uint64_t all = 0;
  for (;;) {
    const ssize_t got = read(from, chunk.data(), chunk.size());
    const int saved = errno;
    if (got < 0) return fail_errno(saved, "read", kKernel);
    if (got == 0) break;
    const std::string_view piece(chunk.data(), static_cast<std::size_t>(got));
    all += piece.size();
    if (all > kernel.bytes) break;
    hasher.add(piece);
    if (auto wrote = write_all(to, piece, kKernel); !wrote) return wrote;
  }
  if (all == kernel.bytes && hasher.digest() == kernel.digest) return {};
  return fail(Errc::kCorrupt, "copy the kernel: it is not the one that the image's manifest names", kKernel);
}

// Root's and 0444, so the jail's uid can read it and nothing of the jail can change it, whatever name it gets there.
Result<Fd> open_image_file(int images, const std::string& path) {
  auto file = open_beneath(images, path, O_RDONLY | O_NOFOLLOW, Mounts::kCross);
  if (!file && file.error().sys_errno == ENOENT) return fail(Errc::kNotFound, "find the image's file", path);
  if (!file) return forward(file.error());
  const auto info = stat_of(file->get(), path);
  if (!info) return forward(info.error());
  if (!S_ISREG(info->st_mode) || info->st_uid != 0 || (info->st_mode & 07777) != 0444) {
    return fail(Errc::kDenied, "use an image that is not root's and 0444", path);
  }
  return file;
}

std::string image_file(const Digest& image, const char* name) { return "images/" + to_hex(image.bytes) + "/" + name; }

}  // namespace

std::string JailDirectories::base_path(const Subject& instance) const {
  auto names = above_jail(instance);
  names.pop_back();
  return path_ + "/" + joined(names);
}

std::string JailDirectories::root_path(const Subject& instance) const {
  return path_ + "/" + joined(above_jail(instance)) + "/" + to_string(instance.instance) + "/root";
}

Status JailDirectories::check_path() const {
  const auto by_path = open_absolute(path_, O_PATH | O_DIRECTORY);
  if (!by_path) return forward(by_path.error());
  const auto there = stat_of(by_path->get(), path_);
  const auto held = stat_of(state_.get(), path_);
  if (!there || !held) return forward(!there ? there.error() : held.error());
  if (there->st_dev == held->st_dev && there->st_ino == held->st_ino) return {};
  return fail(Errc::kDenied, "use a state directory that is no longer at its path", path_);
}

Result<Fd> JailDirectories::make_root(const Subject& instance) {
  auto names = above_jail(instance);
  names.push_back(to_string(instance.instance));
  names.push_back("root");
  const std::lock_guard hold(tree_);
  return make_directories(state_.get(), names);
}

Status JailDirectories::prepare(const Subject& instance) {
  if (auto same = check_path(); !same) return same;
  const auto root = make_root(instance);
  if (!root) return forward(root.error());
  if (mkdirat(root->get(), kMemoryInJail, 0700) != 0) return fail_errno(errno, "make a folder of the jail", kMemoryInJail);
  return {};
}

Status JailDirectories::place_rootfs(const Subject& instance, const Digest& image, uid_t uid) {
  const auto root = open_root(instance);
  return root ? place_device(block_.get(), root->get(), {"rootfs", image_device_name(image), Use::kRead, uid}) : forward(root.error());
}

Status JailDirectories::place_kernel(const Subject& instance, const Digest& image, const lang::KernelView& kernel) {
  const auto root = open_root(instance);
  if (!root) return forward(root.error());
  const auto from = open_image_file(state_.get(), image_file(image, kKernel));
  if (!from) return forward(from.error());
  const Fd to(openat(root->get(), kKernel, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0400));
  const int saved = errno;
  if (!to.valid()) return fail_errno(saved, "create", kKernel);
  if (auto copied = copy_kernel(from->get(), to.get(), kernel); !copied) return copied;
  if (fchmod(to.get(), 0444) != 0) return fail_errno(errno, "fchmod", kKernel);
  return {};
}

Status JailDirectories::remove_kernel(const Subject& instance) {
  const auto root = open_root(instance);
  if (!root) return forward(root.error());
  if (unlinkat(root->get(), kKernel, 0) != 0) return fail_errno(errno, "remove", kKernel);
  return {};
}

Status JailDirectories::place_drives(const Subject& instance, wire::DriveSet drives, uid_t uid) {
  const auto root = open_root(instance);
  if (!root) return forward(root.error());
  if ((drives & wire::kDataDrive) != 0) {
    if (auto placed = place_device(block_.get(), root->get(), {"data", data_device_name(instance), Use::kReadWrite, uid}); !placed) return placed;
  }
  return {};
}

Result<std::vector<Bind>> JailDirectories::give_file_drives(const Subject& instance, wire::DriveSet drives, uid_t uid) const {
  const auto root = open_root(instance);
  if (!root) return forward(root.error());
  std::vector<Bind> binds;
  for (const FileDrive& each : kFileDrives) {
    if ((drives & each.bit) == 0) continue;
    if (auto given = give_file_drive(state_.get(), root->get(), instance, each.name, uid); !given) return forward(given.error());
    binds.push_back({path_ + "/" + file_drive_path(instance, each.name), root_path(instance) + "/" + each.name});
  }
  return binds;
}

Result<Fd> JailDirectories::open_root(const Subject& instance) const {
  auto names = above_jail(instance);
  names.push_back(to_string(instance.instance));
  names.push_back("root");
  auto root = open_beneath(state_.get(), joined(names), O_RDONLY | O_DIRECTORY);
  if (!root && root.error().sys_errno == ENOENT) return fail(Errc::kNotFound, "open the jail", to_string(instance));
  return root;
}

Status JailDirectories::remove(const Subject& instance) {
  const auto names = above_jail(instance);
  const auto above = open_beneath(state_.get(), joined(names), O_RDONLY | O_DIRECTORY);
  if (!above && above.error().sys_errno == ENOENT) return {};
  if (!above) return forward(above.error());
  if (auto removed = remove_tree(above->get(), to_string(instance.instance)); !removed) return removed;
  const std::lock_guard hold(tree_);
  prune(state_.get(), names);
  return {};
}

Result<std::vector<Subject>> JailDirectories::list() const {
  const auto jails = open_beneath(state_.get(), kJails, O_RDONLY | O_DIRECTORY);
  if (!jails && jails.error().sys_errno == ENOENT) return std::vector<Subject>{};
  if (!jails) return forward(jails.error());
  return instances_below(jails->get(), kExecName);
}

Status close_jail(int root) {
  for (const char* name : kJailFolders) {
    const auto folder = open_beneath(root, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (!folder) return forward(folder.error());
    if (fchown(folder->get(), 0, 0) != 0) return fail_errno(errno, "take a folder from the jail", name);
    if (fchmod(folder->get(), 0711) != 0) return fail_errno(errno, "close a folder of the jail", name);
  }
  return {};
}

Status place_userfaultfd(int root, uid_t uid) {
  const auto folder = open_beneath(root, "dev", O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (!folder) return forward(folder.error());
  const auto minor_number = userfaultfd_minor("/proc/misc");
  if (!minor_number) return forward(minor_number.error());
  if (mknodat(folder->get(), "userfaultfd", S_IFCHR | 0600, makedev(kMiscMajor, *minor_number)) != 0) {
    const int saved = errno;
    return saved == EEXIST ? Status{} : fail_errno(saved, "make the node", "userfaultfd");
  }
  if (fchownat(folder->get(), "userfaultfd", uid, uid, AT_SYMLINK_NOFOLLOW) != 0) return fail_errno(errno, "give the node away", "userfaultfd");
  return {};
}

}  // namespace mvm::jail
