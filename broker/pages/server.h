// Serves the memory of one microVM that wakes: the chunks that its last wake touched first, then what it faults on, then all the rest; and
// ends with everything in its place, the memory out of its hands, and no key left. One thread; waits for nothing but the kernel.
// What it holds while it serves: the snapshot's memory (with its keys), the userfaultfd, and one bit a page.
//
// What the microVM removes meanwhile (a balloon: madvise(MADV_DONTNEED), which the kernel tells of as UFFD_EVENT_REMOVE and which waits until that is
// read) is zeros from then on, and never what the file has. When all is in, the memory is unregistered, so that the kernel gives
// zeros for what a balloon removes later, and nobody is needed to say so: docs/wake.md says why this ends rather than stays.
// Proven by: tests/pages/server_kernel_test.cc.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "base/error.h"
#include "broker/pages/handover.h"
#include "broker/pages/order.h"
#include "broker/pages/uffd.h"
#include "snapshot-file/image.h"

namespace mvm::pages {

inline constexpr std::size_t kMaxWaiting = 65'536;  // pages that somebody waits for at once: a thread each
inline constexpr unsigned kFaultsInARow = 8;        // after so many a chunk of the rest is put in: whoever faults without end does not keep the key here

enum class End : std::uint8_t {
  kWhole,  // all of the memory is in, and is the microVM's own
  kGone,   // the microVM went before
};
struct Served {
  End end = End::kWhole;
  std::vector<std::uint32_t> touched;  // chunks that were faulted on, in that order, none twice
  std::uint64_t faults = 0;            // how many were told of
};

class Server {
 public:
  [[nodiscard]] static Result<Server> make(snapshot_file::Image image, HandOver hand_over);
  // `first_served` is called once, when the first page is in. The keys are gone when this returns.
  [[nodiscard]] Result<Served> run(const std::function<void()>& first_served);

 private:
  // Why a chunk is filled: pages of zeros are put in for who waits for one, and else left for the kernel to give.
  enum class For : std::uint8_t { kFault, kLater };
  enum class Went : std::uint8_t { kDone, kChanging, kGone };

  Server(snapshot_file::Image image, Mappings mappings, Uffd uffd);
  Status read_events();
  Status note_fault(std::uint64_t address);
  Status note_removal(std::uint64_t begin, std::uint64_t end);
  Result<Went> serve_fault();
  std::optional<std::uint32_t> next_chunk();
  Result<Went> step();
  Result<Went> fill(std::uint32_t chunk, For what);
  Result<Went> fill_small(std::uint32_t chunk, For what);
  Result<Went> fill_huge(std::uint32_t chunk, For what);
  Result<Went> put_run(std::uint64_t page, std::uint64_t count, const std::uint8_t* data);
  Status let_go();
  [[nodiscard]] std::optional<std::uint64_t> offset_of(std::uint64_t address) const;
  [[nodiscard]] std::uint64_t address_of(std::uint64_t offset) const;

  std::optional<snapshot_file::Image> image_;
  Mappings mappings_;
  Uffd uffd_;
  std::uint64_t memory_;
  std::uint32_t chunk_;
  std::vector<bool> removed_;  // a page each
  std::vector<bool> in_;       // a chunk each: every page of it that holds anything has been put in
  std::vector<bool> known_;    // a chunk each: it is in `touched`
  std::vector<std::uint64_t> waiting_;  // offsets of pages that somebody waits for
  snapshot_file::WipedBytes huge_;      // one huge page, where memory has those
  std::size_t first_at_ = 0;
  std::uint32_t rest_at_ = 0;
  unsigned faults_in_a_row_ = 0;
  Served served_;
};

}  // namespace mvm::pages
