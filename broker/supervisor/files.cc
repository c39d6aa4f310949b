#include "broker/supervisor/files.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

namespace mvm::supervisor {
namespace {

constexpr mode_t kOwnerOnly = 0600;

Status sync(const Fd& fd, std::string_view on) {
  if (fsync(fd.get()) == 0) return {};
  const int saved = errno;
  return fail_errno(saved, "sync", std::string(on));
}

}  // namespace

Result<Fd> open_file(const Fd& directory, const std::string& name, int flags) {
  open_how how{};
  how.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC | O_NOFOLLOW);
  how.mode = (flags & O_CREAT) != 0 ? kOwnerOnly : 0;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
  Fd fd(static_cast<int>(syscall(SYS_openat2, directory.get(), name.c_str(), &how, sizeof how)));
  const int saved = errno;
  if (fd.valid()) return fd;
  if (saved == ENOENT) return fail(Errc::kNotFound, "open", name);
  return fail_errno(saved, "open", name);
}

Status write_all(const Fd& fd, std::string_view content, std::string_view on) {
  while (!content.empty()) {
    const ssize_t wrote = write(fd.get(), content.data(), content.size());
    const int saved = errno;
    if (wrote < 0 && saved == EINTR) continue;
    if (wrote < 0) return fail_errno(saved, "write", std::string(on));
    content.remove_prefix(static_cast<std::size_t>(wrote));
  }
  return {};
}

Status write_file(const Fd& directory, const std::string& name, std::string_view content, Keep keep) {
  const std::string unfinished(kUnfinishedName);
  const auto fd = open_file(directory, unfinished, O_WRONLY | O_CREAT | O_TRUNC);
  if (!fd) return forward(fd.error());
  if (auto wrote = write_all(*fd, content, name); !wrote) return wrote;
  if (keep != Keep::kOverCrash) {
    if (auto synced = sync(*fd, name); !synced) return synced;
  }
  if (renameat(directory.get(), unfinished.c_str(), directory.get(), name.c_str()) != 0) {
    const int saved = errno;
    return fail_errno(saved, "rename", name);
  }
  return keep == Keep::kOverPowerCut ? sync(directory, name) : Status{};
}

Result<std::string> read_file(const Fd& directory, const std::string& name, std::size_t limit) {
  const auto fd = open_file(directory, name, O_RDONLY | O_NONBLOCK);
  if (!fd) return forward(fd.error());
  struct stat status {};
  if (fstat(fd->get(), &status) != 0) {
    const int saved = errno;
    return fail_errno(saved, "look at", name);
  }
  if (!S_ISREG(status.st_mode)) return fail(Errc::kDenied, "read what is no file", name);
  std::string content(limit + 1, '\0');
  std::size_t size = 0;
  while (size < content.size()) {
    const ssize_t got = read(fd->get(), content.data() + size, content.size() - size);
    const int saved = errno;
    if (got < 0 && saved == EINTR) continue;
    if (got < 0) return fail_errno(saved, "read", name);
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  if (size > limit) return fail(Errc::kLimit, "read", name);
  content.resize(size);
  return content;
}

Status remove_file(const Fd& directory, const std::string& name, Keep keep) {
  if (unlinkat(directory.get(), name.c_str(), 0) != 0) {
    const int saved = errno;
    if (saved != ENOENT) return fail_errno(saved, "remove", name);
  }
  return keep == Keep::kOverPowerCut ? sync(directory, name) : Status{};
}

Result<std::vector<std::string>> list_directory(const Fd& directory, std::size_t limit) {
  auto again = open_file(directory, ".", O_RDONLY | O_DIRECTORY);
  if (!again) return forward(again.error());
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(fdopendir(again->get()), closedir);
  const int saved = errno;
  if (entries == nullptr) return fail_errno(saved, "list a directory");
  static_cast<void>(again->release());
  std::vector<std::string> names;
  while (true) {
    errno = 0;
    const dirent* entry = readdir(entries.get());
    const int read_errno = errno;
    if (entry == nullptr && read_errno != 0) return fail_errno(read_errno, "list a directory");
    if (entry == nullptr) break;
    const std::string_view name = entry->d_name;
    if (name == "." || name == ".." || name == kUnfinishedName) continue;
    if (names.size() == limit) return fail(Errc::kLimit, "list a directory");
    names.emplace_back(name);
  }
  std::ranges::sort(names);
  return names;
}

}  // namespace mvm::supervisor
