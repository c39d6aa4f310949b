// A userfaultfd of another process, as its page server uses it (Documentation/admin-guide/mm/userfaultfd.rst, ioctl_userfaultfd(2)).
// Owns the descriptor. Touches the memory of the process that made it, in ranges that this process registered, and nothing else.
// Proven by: tests/pages/server_kernel_test.cc, on the kernel itself.
#pragma once

#include <linux/userfaultfd.h>

#include <array>
#include <cstdint>
#include <span>

#include "base/error.h"
#include "base/fd.h"

namespace mvm::pages {

// Why a range was not filled to its end.
enum class Stop : std::uint8_t {
  kNone,
  kThere,     // the next page is there already
  kChanging,  // the process removes memory now: its events are to be read first
  kGone,      // the process has gone
};
struct Filled {
  std::uint64_t bytes = 0;
  Stop stop = Stop::kNone;
};

class Uffd {
 public:
  static constexpr std::size_t kMaxEvents = 16;
  // Reads never wait from here on.
  [[nodiscard]] static Result<Uffd> take(Fd fd);

  // Those that are there now, at most kMaxEvents.
  [[nodiscard]] Result<std::span<const uffd_msg>> events();
  // Puts pages into [to, to + length) and wakes who waits for them.
  [[nodiscard]] Result<Filled> copy(std::uint64_t to, const std::uint8_t* from, std::uint64_t length);
  [[nodiscard]] Result<Filled> zeros(std::uint64_t to, std::uint64_t length);
  // Whether the process removes memory of ours at this moment. To be asked with a place that is registered no more, so that nothing is put there.
  [[nodiscard]] Result<bool> changing(std::uint64_t at);
  // Until there is an event, or a millisecond.
  [[nodiscard]] Status pause();
  [[nodiscard]] Status wake(std::uint64_t at, std::uint64_t length);
  // Takes a range out of the userfaultfd's hands: the kernel gives zeros for what is missing there, and tells of nothing any more.
  // Nothing where the process has gone.
  [[nodiscard]] Status unregister(std::uint64_t at, std::uint64_t length);

 private:
  explicit Uffd(Fd fd) : fd_(std::move(fd)) {}
  Fd fd_;
  std::array<uffd_msg, kMaxEvents> events_{};
};

}  // namespace mvm::pages
