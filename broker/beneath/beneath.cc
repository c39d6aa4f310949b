#include "broker/beneath/beneath.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "base/owned.h"

namespace mvm {
namespace {

using Directory = Owned<DIR, &closedir>;

Result<Fd> resolved(int directory, const std::string& path, std::uint64_t flags, std::uint64_t resolve) {
  open_how how{};
  how.flags = flags | O_CLOEXEC;
  how.resolve = resolve | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  const long fd = syscall(SYS_openat2, directory, path.c_str(), &how, sizeof how);
  const int saved = errno;
  if (fd < 0) return fail_errno(saved, "openat2", path);
  return Fd(static_cast<int>(fd));
}

// One level of the walk: a directory that is open, and what was seen in it and is still to go.
struct Level {
  Fd fd;
  std::string name;  // in the level above
  std::vector<std::string> left;
};

Result<Level> open_level(int above, const std::string& name) {
  auto fd = resolved(above, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, RESOLVE_BENEATH | RESOLVE_NO_XDEV);
  if (!fd) return forward(fd.error());
  auto names = names_in(fd->get());
  if (!names) return forward(names.error());
  return Level{std::move(*fd), name, std::move(*names)};
}

// Removes what is no directory. ENOENT is success.
enum class Removed : std::uint8_t { kYes, kIsDirectory };
Result<Removed> remove_file(int directory, const std::string& name) {
  if (unlinkat(directory, name.c_str(), 0) == 0) return Removed::kYes;
  const int saved = errno;
  if (saved == ENOENT) return Removed::kYes;
  if (saved == EISDIR) return Removed::kIsDirectory;
  return fail_errno(saved, "unlinkat", name);
}

Status remove_empty(int directory, const std::string& name) {
  if (unlinkat(directory, name.c_str(), AT_REMOVEDIR) == 0) return {};
  const int saved = errno;
  if (saved == ENOENT) return {};
  return fail_errno(saved, "rmdir", name);
}

// Moves a directory that is too deep to be opened up into the top level, under a name that is free there.
Status move_up(Level& top, int directory, const std::string& name, std::uint64_t& counter) {
  for (;;) {
    const std::string fresh = "." + std::to_string(counter++);
    if (renameat2(directory, name.c_str(), top.fd.get(), fresh.c_str(), RENAME_NOREPLACE) == 0) {
      top.left.push_back(fresh);
      return {};
    }
    const int saved = errno;
    if (saved != EEXIST) return fail_errno(saved, "renameat2", name);
  }
}

// Removes all that is in levels[0], which is open.
Status empty_out(std::vector<Level>& levels) {
  std::uint64_t counter = 0;
  for (;;) {
    Level& level = levels.back();
    if (level.left.empty()) {
      if (levels.size() == 1) return {};
      const std::string name = std::move(level.name);
      levels.pop_back();
      if (auto done = remove_empty(levels.back().fd.get(), name); !done) return done;
      continue;
    }
    const std::string name = std::move(level.left.back());
    level.left.pop_back();
    const auto removed = remove_file(level.fd.get(), name);
    if (!removed) return forward(removed.error());
    if (*removed == Removed::kYes) continue;
    if (levels.size() >= kMaxOpenLevels) {
      if (auto done = move_up(levels.front(), level.fd.get(), name, counter); !done) return done;
      continue;
    }
    auto next = open_level(level.fd.get(), name);
    if (!next) return forward(next.error());
    levels.push_back(std::move(*next));
  }
}

}  // namespace

Result<Fd> open_beneath(int directory, const std::string& path, std::uint64_t flags, Mounts mounts) {
  return resolved(directory, path, flags, RESOLVE_BENEATH | (mounts == Mounts::kStay ? RESOLVE_NO_XDEV : 0));
}

Result<Fd> open_absolute(const std::string& path, std::uint64_t flags) {
  if (!path.starts_with('/')) return fail(Errc::kDenied, "open an absolute path", path);
  return resolved(AT_FDCWD, path, flags, 0);
}

Result<Fd> make_directories(int directory, std::span<const std::string> names) {
  Fd last;
  for (const std::string& name : names) {
    const int above = last.valid() ? last.get() : directory;
    const int made = mkdirat(above, name.c_str(), 0700);
    const int saved = errno;
    if (made != 0 && saved != EEXIST) return fail_errno(saved, "mkdirat", name);
    auto next = open_beneath(above, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (!next) return next;
    struct stat info{};
    const int read = fstat(next->get(), &info);
    const int stat_errno = errno;
    if (read != 0) return fail_errno(stat_errno, "fstat", name);
    if (info.st_uid != geteuid() || (info.st_mode & 022) != 0) return fail(Errc::kDenied, "use a directory that is not our own alone", name);
    last = std::move(*next);
  }
  return last;
}

Result<std::vector<std::string>> names_in(int directory) {
  const int own = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const int open_errno = errno;
  if (own < 0) return fail_errno(open_errno, "open the directory");
  Directory stream(fdopendir(own));
  const int stream_errno = errno;
  if (stream == nullptr) {
    close(own);
    return fail_errno(stream_errno, "fdopendir");
  }
  std::vector<std::string> names;
  for (;;) {
    errno = 0;
    const dirent* entry = readdir(stream.get());
    const int read_errno = errno;
    if (entry == nullptr) {
      if (read_errno != 0) return fail_errno(read_errno, "readdir");
      return names;
    }
    const std::string_view name(entry->d_name);
    if (name != "." && name != "..") names.emplace_back(name);
  }
}

Result<std::string> read_all(int file, std::size_t most) {
  std::string text;
  char buffer[4096];
  for (;;) {
    const ssize_t got = read(file, buffer, sizeof buffer);
    const int saved = errno;
    if (got < 0 && saved == EINTR) continue;
    if (got < 0) return fail_errno(saved, "read");
    if (got == 0) return text;
    text.append(buffer, static_cast<std::size_t>(got));
    if (text.size() > most) return fail(Errc::kLimit, "read");
  }
}

Result<std::string> read_file(int directory, const std::string& path, std::size_t most) {
  const auto file = open_beneath(directory, path, O_RDONLY);
  if (!file) return forward(file.error());
  auto text = read_all(file->get(), most);
  if (!text) text.error().on = path;
  return text;
}

Status write_file(int directory, const std::string& path, std::string_view text) {
  const auto file = open_beneath(directory, path, O_WRONLY);
  if (!file) return forward(file.error());
  const ssize_t wrote = write(file->get(), text.data(), text.size());
  const int saved = errno;
  if (wrote < 0) return fail_errno(saved, "write " + std::string(text), path);
  if (static_cast<std::size_t>(wrote) != text.size()) return fail(Errc::kLimit, "write " + std::string(text), path);
  return {};
}

Status sync(int fd, const std::string& on) {
  if (fsync(fd) == 0) return {};
  return fail_errno(errno, "sync", on);
}

Status remove_tree(int directory, const std::string& name) {
  const auto removed = remove_file(directory, name);
  if (!removed) return forward(removed.error());
  if (*removed == Removed::kYes) return {};
  std::vector<Level> levels;
  auto top = open_level(directory, name);
  if (!top) return forward(top.error());
  levels.push_back(std::move(*top));
  if (auto done = empty_out(levels); !done) return done;
  return remove_empty(directory, name);
}

void prune(int directory, std::span<const std::string> names) {
  for (std::size_t count = names.size(); count > 0; --count) {
    std::string path;
    for (const std::string& name : names.first(count)) path += (path.empty() ? "" : "/") + name;
    if (unlinkat(directory, path.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT) return;
  }
}

}  // namespace mvm
