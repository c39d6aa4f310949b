#include "broker/pages/uffd.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>

namespace mvm::pages {
namespace {

constexpr std::size_t kPageBytes = 4096;

// What an ioctl that fills memory said. `done`: the field that the kernel puts the bytes into, or minus the error.
Result<Filled> outcome(int result, int saved, std::int64_t done, std::uint64_t length, const char* what) {
  if (result == 0) return Filled{length, Stop::kNone};
  const std::uint64_t bytes = done > 0 ? static_cast<std::uint64_t>(done) : 0;
  if (bytes > length) return fail(Errc::kCorrupt, what, "length");
  switch (saved) {
    case EEXIST: return Filled{bytes, Stop::kThere};
    // Some of it, or none because memory is being removed: which of the two, the next try tells.
    case EAGAIN: return Filled{bytes, bytes > 0 ? Stop::kNone : Stop::kChanging};
    case ESRCH: return Filled{bytes, Stop::kGone};
    default: return fail_errno(saved, what);
  }
}

}  // namespace

Result<Uffd> Uffd::take(Fd fd) {
  if (fcntl(fd.get(), F_SETFL, O_NONBLOCK) != 0) return fail_errno(errno, "take a userfaultfd");
  return Uffd(std::move(fd));
}

Result<std::span<const uffd_msg>> Uffd::events() {
  const ssize_t got = read(fd_.get(), events_.data(), sizeof events_);
  const int saved = errno;
  if (got < 0 && (saved == EAGAIN || saved == EINTR)) return std::span<const uffd_msg>();
  if (got < 0) return fail_errno(saved, "read a userfaultfd");
  if (got == 0 || got % static_cast<ssize_t>(sizeof(uffd_msg)) != 0) return fail(Errc::kMalformed, "read a userfaultfd", "it is none");
  return std::span<const uffd_msg>(events_).first(static_cast<std::size_t>(got) / sizeof(uffd_msg));
}

Result<Filled> Uffd::copy(std::uint64_t to, const std::uint8_t* from, std::uint64_t length) {
  uffdio_copy request{.dst = to, .src = reinterpret_cast<std::uint64_t>(from), .len = length, .mode = 0, .copy = 0};
  const int result = ioctl(fd_.get(), UFFDIO_COPY, &request);
  return outcome(result, errno, request.copy, length, "put a page");
}

Result<Filled> Uffd::zeros(std::uint64_t to, std::uint64_t length) {
  uffdio_zeropage request{.range = {.start = to, .len = length}, .mode = 0, .zeropage = 0};
  const int result = ioctl(fd_.get(), UFFDIO_ZEROPAGE, &request);
  return outcome(result, errno, request.zeropage, length, "put a page of zeros");
}

Result<bool> Uffd::changing(std::uint64_t at) {
  alignas(kPageBytes) static constexpr std::array<std::uint8_t, kPageBytes> kZeros{};
  uffdio_copy request{.dst = at, .src = reinterpret_cast<std::uint64_t>(kZeros.data()), .len = kPageBytes, .mode = 0, .copy = 0};
  // The kernel looks at whether memory is being removed before it looks at anything else (fs/userfaultfd.c, userfaultfd_copy).
  if (ioctl(fd_.get(), UFFDIO_COPY, &request) == 0) return false;
  return errno == EAGAIN;
}

Status Uffd::pause() {
  pollfd waited{.fd = fd_.get(), .events = POLLIN, .revents = 0};
  if (poll(&waited, 1, 1) < 0 && errno != EINTR) return fail_errno(errno, "wait for a userfaultfd");
  return {};
}

Status Uffd::wake(std::uint64_t at, std::uint64_t length) {
  uffdio_range range{.start = at, .len = length};
  if (ioctl(fd_.get(), UFFDIO_WAKE, &range) != 0) return fail_errno(errno, "wake who waits for a page");
  return {};
}

Status Uffd::unregister(std::uint64_t at, std::uint64_t length) {
  uffdio_range range{.start = at, .len = length};
  if (ioctl(fd_.get(), UFFDIO_UNREGISTER, &range) == 0) return {};
  const int saved = errno;
  // ENOMEM is what the kernel says of an address space that is gone.
  return saved == ENOMEM || saved == ESRCH ? Status{} : fail_errno(saved, "let go of memory");
}

}  // namespace mvm::pages
