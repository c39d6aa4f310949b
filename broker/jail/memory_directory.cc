#include "broker/jail/memory_directory.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/derived.h"
#include "broker/beneath/beneath.h"

namespace mvm::jail {
namespace {

constexpr long kRamfsMagic = 0x858458f6;  // linux/magic.h

}  // namespace

Result<MemoryDirectories> MemoryDirectories::make(Fd memory, std::string path) {
  struct statfs where {};
  struct stat info {};
  if (fstatfs(memory.get(), &where) != 0 || fstat(memory.get(), &info) != 0) return fail_errno(errno, "look at the memory file system", path);
  if (where.f_type != TMPFS_MAGIC && where.f_type != kRamfsMagic) return fail(Errc::kDenied, "keep memory on what is no memory file system", path);
  return MemoryDirectories(std::move(memory), std::move(path), info.st_gid);
}

std::string MemoryDirectories::path(const Subject& instance) const { return path_ + "/" + memory_name(instance); }

Status MemoryDirectories::prepare(const Subject& instance, uid_t uid) const {
  const std::string name = memory_name(instance);
  if (mkdirat(memory_.get(), name.c_str(), 0700) != 0) return fail_errno(errno, "make the memory directory", name);
  const auto directory = open(instance);
  if (!directory) return forward(directory.error());
  // The VMM finds its files here, and who seals finds them, by names they know; nobody else has a name to try that opens.
  if (fchown(directory->get(), 0, group_) != 0) return fail_errno(errno, "fchown", name);
  if (fchmod(directory->get(), 0711) != 0) return fail_errno(errno, "fchmod", name);
  const auto log = create(directory->get(), kLogFile, uid, 0600);
  return log ? Status{} : forward(log.error());
}

Result<Fd> MemoryDirectories::open(const Subject& instance) const {
  auto directory = open_beneath(memory_.get(), memory_name(instance), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (!directory && directory.error().sys_errno == ENOENT) return fail(Errc::kNotFound, "open the memory directory", to_string(instance));
  return directory;
}

Status MemoryDirectories::remove(const Subject& instance) const { return remove_tree(memory_.get(), memory_name(instance)); }

Result<std::vector<Subject>> MemoryDirectories::list() const {
  const auto names = names_in(memory_.get());
  if (!names) return forward(names.error());
  std::vector<Subject> found;
  for (const std::string& name : *names) {
    if (const auto instance = instance_of_memory(name)) found.push_back(*instance);
  }
  return found;
}

Result<Fd> MemoryDirectories::create(int directory, const char* name, uid_t uid, mode_t mode) const {
  Fd file(openat(directory, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  const int saved = errno;
  if (!file.valid()) return fail_errno(saved, "create", name);
  if (fchmod(file.get(), mode) != 0) return fail_errno(errno, "fchmod", name);
  if (fchown(file.get(), uid, group_) != 0) return fail_errno(errno, "fchown", name);
  return file;
}

Status MemoryDirectories::begin_dump(int directory, uid_t uid) const {
  for (const char* name : {"memory", "state"}) {
    if (auto file = create(directory, name, uid, 0660); !file) return forward(file.error());
  }
  return {};
}

Status MemoryDirectories::begin_held_dump(int directory, uid_t uid) const {
  if (mknodat(directory, "hold", S_IFIFO | 0600, 0) != 0) return fail_errno(errno, "make a pipe", "hold");
  if (fchownat(directory, "hold", uid, group_, AT_SYMLINK_NOFOLLOW) != 0) return fail_errno(errno, "give away", "hold");
  const auto state = create(directory, "state", uid, 0660);
  return state ? Status{} : forward(state.error());
}

Result<Fd> MemoryDirectories::begin_memory(int directory, uid_t uid) const { return create(directory, "memory", uid, 0400); }

Status MemoryDirectories::place_state(int directory, int state, uid_t uid) const {
  struct stat info {};
  if (fstat(state, &info) != 0) return fail_errno(errno, "fstat", "state");
  const auto file = create(directory, "state", uid, 0600);
  if (!file) return forward(file.error());
  off_t at = 0;
  while (at < info.st_size) {
    const ssize_t sent = sendfile(file->get(), state, &at, static_cast<std::size_t>(info.st_size - at));
    const int saved = errno;
    if (sent < 0) return fail_errno(saved, "copy the VMM's state");
    if (sent == 0) return fail(Errc::kCorrupt, "copy the VMM's state: it has become shorter");
  }
  return {};
}

Status remove_files(int directory, std::span<const char* const> names) {
  for (const char* name : names) {
    if (unlinkat(directory, name, 0) != 0 && errno != ENOENT) return fail_errno(errno, "remove", name);
  }
  return {};
}

Status note(int directory, const char* name, std::string_view text) {
  (void)unlinkat(directory, ".note", 0);  // of one that was broken off
  const Fd file(openat(directory, ".note", O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  const int saved = errno;
  if (!file.valid()) return fail_errno(saved, "note", name);
  struct stat above {};
  if (fstat(directory, &above) != 0 || fchown(file.get(), 0, above.st_gid) != 0 || fchmod(file.get(), 0640) != 0) return fail_errno(errno, "note", name);
  if (write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) return fail_errno(errno, "note", name);
  // By the call itself: the C library makes another of it where there are no flags.
  if (syscall(SYS_renameat2, directory, ".note", directory, name, 0) != 0) return fail_errno(errno, "note", name);
  return {};
}

bool is_noted(int directory, const char* name) {
  struct stat info {};
  return fstatat(directory, name, &info, AT_SYMLINK_NOFOLLOW) == 0;
}

Result<Fd> listen_for_pages(int directory, uid_t uid) {
  Fd listener(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int saved = errno;
  if (!listener.valid()) return fail_errno(saved, "socket");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = "/proc/self/fd/" + std::to_string(directory) + "/uffd.sock";
  std::memcpy(address.sun_path, path.c_str(), path.size());
  if (bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return fail_errno(errno, "bind", "uffd.sock");
  if (fchownat(directory, "uffd.sock", uid, uid, AT_SYMLINK_NOFOLLOW) != 0) return fail_errno(errno, "give away", "uffd.sock");
  if (listen(listener.get(), 1) != 0) return fail_errno(errno, "listen", "uffd.sock");
  return listener;
}

Result<uid_t> jail_uid(int directory) {
  struct stat info {};
  if (fstatat(directory, kLogFile, &info, AT_SYMLINK_NOFOLLOW) != 0) return fail_errno(errno, "find whose jail it is", kLogFile);
  if (!S_ISREG(info.st_mode) || info.st_uid == 0) return fail(Errc::kCorrupt, "find whose jail it is", kLogFile);
  return info.st_uid;
}

}  // namespace mvm::jail
