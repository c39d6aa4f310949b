#include "planner/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "base/fd.h"

namespace mvm::planner {
namespace {

Status write_all(int fd, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t count = write(fd, bytes.data(), bytes.size());
    const int saved = errno;
    if (count < 0 && saved == EINTR) continue;
    if (count < 0) return fail_errno(saved, "write", path);
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  return {};
}

}  // namespace

Result<std::string> read_file(int directory, const std::string& path, std::size_t limit) {
  const Fd file(openat(directory, path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  int saved = errno;
  if (!file.valid()) return fail_errno(saved, "open", path);
  struct stat status {};
  if (fstat(file.get(), &status) != 0) return fail_errno(errno, "fstat", path);
  if (!S_ISREG(status.st_mode)) return fail(Errc::kDenied, "read (not a regular file)", path);
  // As much as it says that it has, and one byte to see its end; more where it has more, as one of /proc or one that grows.
  std::string bytes(std::min(static_cast<std::size_t>(status.st_size), limit) + 1, '\0');
  std::size_t size = 0;
  while (size <= limit) {
    if (size == bytes.size()) bytes.resize(std::min(2 * size, limit + 1));
    const ssize_t count = read(file.get(), bytes.data() + size, bytes.size() - size);
    saved = errno;
    if (count < 0 && saved == EINTR) continue;
    if (count < 0) return fail_errno(saved, "read", path);
    if (count == 0) break;
    size += static_cast<std::size_t>(count);
  }
  if (size > limit) return fail(Errc::kLimit, "read (more than " + std::to_string(limit) + " bytes)", path);
  bytes.resize(size);
  return bytes;
}

Status create_file(const std::string& path, std::string_view bytes, unsigned mode) {
  const Fd file(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode));
  int saved = errno;
  if (!file.valid()) return fail_errno(saved, "create", path);
  const int given = fchmod(file.get(), mode);
  saved = errno;
  if (given != 0) return fail_errno(saved, "set the mode of", path);
  return write_all(file.get(), bytes, path);
}

Status remove_file(const std::string& path) {
  if (unlink(path.c_str()) != 0 && errno != ENOENT) return fail_errno(errno, "unlink", path);
  return {};
}

Status replace_file(const std::string& path, std::string_view bytes, unsigned mode) {
  const std::string fresh = path + ".new";
  if (auto gone = remove_file(fresh); !gone) return gone;
  if (auto made = create_file(fresh, bytes, mode); !made) return made;
  if (rename(fresh.c_str(), path.c_str()) != 0) return fail_errno(errno, "rename", path);
  return {};
}

}  // namespace mvm::planner
