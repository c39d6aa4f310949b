#include "base/sealed.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>

namespace mvm {
namespace {

constexpr int kAllSeals = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

}  // namespace

Result<Fd> make_sealed(std::string_view content) {
  Fd fd(memfd_create("mvm", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd.valid()) return fail_errno(errno, "make a memfd");
  for (std::size_t at = 0; at < content.size();) {
    const ssize_t wrote = pwrite(fd.get(), content.data() + at, content.size() - at, static_cast<off_t>(at));
    if (wrote < 0) {
      const int saved = errno;
      if (saved == EINTR) continue;
      return fail_errno(saved, "write a memfd");
    }
    at += static_cast<std::size_t>(wrote);
  }
  if (fcntl(fd.get(), F_ADD_SEALS, kAllSeals) != 0) return fail_errno(errno, "seal a memfd");
  return fd;
}

Result<std::string> read_sealed(const Fd& fd, std::size_t limit) {
  const int seals = fcntl(fd.get(), F_GET_SEALS);
  if (seals < 0) return fail(Errc::kDenied, "read a descriptor that is no memfd");
  if ((seals & kAllSeals) != kAllSeals) return fail(Errc::kDenied, "read a memfd that is not sealed");
  struct stat status;
  if (fstat(fd.get(), &status) != 0) return fail_errno(errno, "measure a memfd");
  const auto size = static_cast<std::size_t>(status.st_size);
  if (size > limit) return fail(Errc::kLimit, "read a memfd", std::to_string(size) + " bytes");
  std::string content(size, '\0');
  for (std::size_t at = 0; at < size;) {
    const ssize_t got = pread(fd.get(), content.data() + at, size - at, static_cast<off_t>(at));
    if (got < 0) {
      const int saved = errno;
      if (saved == EINTR) continue;
      return fail_errno(saved, "read a memfd");
    }
    // Sealed against shrinking, so the end cannot come early.
    if (got == 0) return fail(Errc::kMalformed, "read a memfd");
    at += static_cast<std::size_t>(got);
  }
  return content;
}

}  // namespace mvm
