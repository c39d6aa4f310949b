// What Firecracker hands over when it loads a snapshot with a Uffd backend: one message on a stream socket, a JSON array of its memory
// regions, with the userfaultfd as its one descriptor (src/vmm/src/persist.rs, v1.10 to v1.16; docs/snapshotting/
// handling-page-faults-on-snapshot-resume.md). The sender may have been taken over by its guest: nothing of it is believed but
// numbers within bounds, that describe the whole of the memory, each byte of it once.
// parse_mappings() is pure. Proven by: tests/pages/handover_test.cc, fuzz/uffd_handover_fuzz.cc.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/fd.h"

namespace mvm::pages {

inline constexpr std::size_t kMaxHandOver = 4096;  // bytes; a region takes about 130
inline constexpr std::size_t kMaxRegions = 16;     // Firecracker has two at most on x86, one on arm, without hotplug
inline constexpr std::uint32_t kSmallPage = 4096;
inline constexpr std::uint32_t kHugePage = 2 << 20;

struct Region {
  std::uint64_t base = 0;    // where it lies in Firecracker's address space
  std::uint64_t size = 0;    // bytes
  std::uint64_t offset = 0;  // where it lies in the image
  bool operator==(const Region&) const = default;
};

struct Mappings {
  std::vector<Region> regions;  // by offset, without a gap from 0 to the end of the memory
  std::uint32_t page = kSmallPage;
};

// What the memory is known to be: the snapshot's header says it.
struct Shape {
  std::uint64_t memory = 0;  // bytes
  std::uint32_t chunk = 0;   // what regions are multiples of
};

// kMalformed, kLimit: anything but regions of whole chunks and pages, in order, that cover the memory and do not overlap.
[[nodiscard]] Result<Mappings> parse_mappings(std::string_view text, const Shape& shape);

struct HandOver {
  Mappings mappings;
  Fd userfaultfd;  // what was sent as one; not known to be one
};
// By one recvmsg with room for both, for read apart the descriptor is lost. kClosed where the peer has gone; kDenied where there is not
// exactly one descriptor.
[[nodiscard]] Result<HandOver> receive_hand_over(int socket, const Shape& shape);

}  // namespace mvm::pages
