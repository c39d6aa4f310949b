#include "cli/secret_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace mvm::cli {
namespace {

constexpr mode_t kOthers = 077;

}  // namespace

Result<Fd> open_secret(const std::string& path) {
  Fd file(path == "-" ? dup(STDIN_FILENO) : open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  const int saved = errno;
  if (!file.valid()) return fail_errno(saved, "open", path);
  struct stat status {};
  if (fstat(file.get(), &status) != 0) return fail_errno(errno, "look at", path);
  if (path == "-") return file;
  if (!S_ISREG(status.st_mode)) return fail(Errc::kDenied, "read a secret from what is no regular file", path);
  if ((status.st_mode & kOthers) != 0) return fail(Errc::kDenied, "read a secret from a file that others may read (chmod 600)", path);
  return file;
}

Result<std::size_t> read_into(const Fd& file, std::span<std::uint8_t> room, const std::string& path) {
  std::size_t size = 0;
  for (std::uint8_t one_more = 0;;) {
    const bool full = size == room.size();
    const ssize_t got = full ? read(file.get(), &one_more, 1) : read(file.get(), room.data() + size, room.size() - size);
    const int saved = errno;
    if (got < 0 && saved == EINTR) continue;
    if (got < 0) return fail_errno(saved, "read", path);
    if (got == 0) return size;
    if (full) return fail(Errc::kLimit, "read (more than there is room for)", path);
    size += static_cast<std::size_t>(got);
  }
}

Result<Secret> read_secret(const SecretArena& arena, const std::string& path, std::size_t limit) {
  const auto file = open_secret(path);
  if (!file) return forward(file.error());
  auto whole = arena.take(limit);
  if (!whole) return whole;
  const auto size = read_into(*file, whole->bytes(), path);
  if (!size && size.error().code == Errc::kLimit) return fail(Errc::kLimit, "read (more than " + std::to_string(limit) + " bytes)", path);
  if (!size) return forward(size.error());
  auto exact = arena.take(*size);
  if (!exact) return exact;
  std::ranges::copy(whole->bytes().first(*size), exact->bytes().begin());
  return exact;
}

}  // namespace mvm::cli
