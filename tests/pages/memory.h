// Memory that a userfaultfd watches, as Firecracker makes it, and the snapshot that is to be served into it. For tests; needs root, or a
// kernel that lets anybody.
#pragma once

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/fd.h"
#include "broker/pages/server.h"
#include "tests/snapshot-file/image.h"

namespace mvm::test {

inline Fd new_userfaultfd() {
  Fd fd(static_cast<int>(syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK)));
  uffdio_api api{.api = UFFD_API, .features = UFFD_FEATURE_EVENT_REMOVE, .ioctls = 0};
  if (fd.valid() && ioctl(fd.get(), UFFDIO_API, &api) != 0) fd.reset();
  return fd;
}

// Anonymous memory, one region or more, registered for what is missing.
class WatchedMemory {
 public:
  explicit WatchedMemory(std::vector<std::size_t> sizes, std::uint32_t page = pages::kSmallPage) : userfaultfd_(new_userfaultfd()) {
    std::uint64_t offset = 0;
    for (const std::size_t size : sizes) {
      const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | (page == pages::kHugePage ? MAP_HUGETLB | 21 << MAP_HUGE_SHIFT : 0);
      void* const at = mmap(nullptr, size, PROT_READ | PROT_WRITE, flags, -1, 0);
      if (at == MAP_FAILED) return;
      if (page == pages::kSmallPage) madvise(at, size, MADV_NOHUGEPAGE);
      uffdio_register wanted{.range = {.start = reinterpret_cast<std::uint64_t>(at), .len = size}, .mode = UFFDIO_REGISTER_MODE_MISSING, .ioctls = 0};
      if (ioctl(userfaultfd_.get(), UFFDIO_REGISTER, &wanted) != 0) return;
      regions_.push_back({reinterpret_cast<std::uint64_t>(at), size, offset});
      offset += size;
    }
    page_ = page;
    valid_ = true;
  }
  ~WatchedMemory() {
    for (const auto& region : regions_) munmap(reinterpret_cast<void*>(region.base), region.size);
  }
  WatchedMemory(const WatchedMemory&) = delete;
  WatchedMemory& operator=(const WatchedMemory&) = delete;

  [[nodiscard]] bool valid() const { return valid_; }
  [[nodiscard]] volatile std::uint8_t* at(std::uint64_t offset) const {
    for (const auto& region : regions_) {
      if (offset >= region.offset && offset - region.offset < region.size) return reinterpret_cast<volatile std::uint8_t*>(region.base + offset - region.offset);
    }
    std::abort();
  }
  // Whether that page is there, without a look at it.
  [[nodiscard]] bool there(std::uint64_t offset) const {
    unsigned char residence = 0;
    return mincore(const_cast<std::uint8_t*>(at(offset)), sf::kPage, &residence) == 0 && (residence & 1) != 0;
  }
  // The first byte at which the page is not as wanted, or -1.
  [[nodiscard]] int differs(std::uint64_t offset, std::span<const std::uint8_t> wanted) const {
    const volatile std::uint8_t* page = at(offset);
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      if (page[i] != wanted[i]) return static_cast<int>(i);
    }
    return -1;
  }
  // What Firecracker would hand over: the descriptor is a copy, for Firecracker keeps its own.
  [[nodiscard]] pages::HandOver hand_over() const { return {{regions_, page_}, Fd(fcntl(userfaultfd_.get(), F_DUPFD_CLOEXEC, 0))}; }
  [[nodiscard]] std::string message() const {
    std::string text = "[";
    for (const auto& region : regions_) {
      text += (text.size() > 1 ? ",{\"base_host_virt_addr\":" : "{\"base_host_virt_addr\":") + std::to_string(region.base) + ",\"size\":" + std::to_string(region.size) +
              ",\"offset\":" + std::to_string(region.offset) + ",\"page_size\":" + std::to_string(page_) + ",\"page_size_kib\":" + std::to_string(page_) + "}";
    }
    return text + "]";
  }
  [[nodiscard]] int userfaultfd() const { return userfaultfd_.get(); }
  // Until somebody's event is in the queue.
  void await_event() const {
    pollfd waited{.fd = userfaultfd_.get(), .events = POLLIN, .revents = 0};
    EXPECT_EQ(poll(&waited, 1, 10'000), 1);
  }
  void remove(std::uint64_t offset, std::uint64_t length) const { EXPECT_EQ(madvise(const_cast<std::uint8_t*>(at(offset)), length, MADV_DONTNEED), 0); }

 private:
  Fd userfaultfd_;
  std::vector<pages::Region> regions_;
  std::uint32_t page_ = pages::kSmallPage;
  bool valid_ = false;
};

}  // namespace mvm::test
