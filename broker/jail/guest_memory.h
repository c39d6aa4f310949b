// Where a VMM has its guest's memory, by what the kernel says of the VMM's address space (proc(5), maps) and by what stands in the memory itself: Firecracker
// writes the root of its ACPI tables at one place of every guest's (RSDP_ADDR, src/vmm/src/arch/x86_64/layout.rs, v1.10 to v1.16), where no guest has memory of its own, and
// maps the memory below the hole that is left for devices as one stretch, and what is above as another (arch_memory_regions).
// The VMM may be hostile, and so may its guest: either can have its own memory taken for somewhere else in that one VMM, and gains a snapshot of its own that is worth nothing.
// Pure: text and values. Proven by: tests/jail/guest_memory_test.cc, fuzz/maps_fuzz.cc; with the real Firecracker by tests/jail/real_sleep_kernel_test.cc.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/stretch.h"

namespace mvm::jail {

// One that is private, and may be read and written.
struct Mapping {
  std::uint64_t begin = 0, end = 0;
  bool anonymous = false;
  bool operator==(const Mapping&) const = default;
};

inline constexpr std::size_t kMaxMaps = 2 << 20;      // bytes of a VMM's maps
inline constexpr std::size_t kMaxMappings = 4096;     // that are looked through
inline constexpr std::uint64_t kAcpiRoot = 0xe0000;
inline constexpr std::size_t kAcpiRootBytes = 20;  // that its first sum covers
// Where the hole for devices begins: since v1.13, and before.
inline constexpr std::array<std::uint64_t, 2> kHoles = {3ULL << 30, 13ULL << 28};

// All of them, in the text's order, which is that of their addresses. kMalformed: it is no such text. kLimit: they are more than kMaxMappings.
[[nodiscard]] Result<std::vector<Mapping>> read_mappings(std::string_view maps);

// What stands at an address of the VMM; nothing where it cannot be read.
using Root = std::array<std::uint8_t, kAcpiRootBytes>;
using ReadRoot = std::function<std::optional<Root>(std::uint64_t address)>;
[[nodiscard]] bool is_acpi_root(std::span<const std::uint8_t, kAcpiRootBytes> bytes);

struct GuestMemory {
  std::array<Stretch, 2> stretches = {};
  bool anonymous = false;  // so what is not there is zeros
  bool operator==(const GuestMemory&) const = default;
};
// Of `bytes` of memory. kNotFound: it can be in no place, or in more than one.
[[nodiscard]] Result<GuestMemory> find_guest_memory(std::span<const Mapping> mappings, std::uint64_t bytes, const ReadRoot& read);

}  // namespace mvm::jail
