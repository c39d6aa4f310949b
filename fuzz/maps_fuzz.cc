// What the kernel says of a VMM's address space, names of the VMM's own choice in it, and where its guest's memory is by that: wherever it is found, it is as large as it
// was said to be, and in what may be read.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "broker/jail/guest_memory.h"

namespace {

using namespace mvm::jail;

constexpr Root kRoot = {'R', 'S', 'D', ' ', 'P', 'T', 'R', ' ', 0x2b, 'F', 'I', 'R', 'E', 'C', 'K', 2, 0, 0, 0, 0};

}  // namespace

// The first 8 bytes: how large the guest is, and at which addresses there is a root.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::uint64_t seed = 0;
  if (size < sizeof seed) return 0;
  std::memcpy(&seed, data, sizeof seed);
  const auto mappings = read_mappings({reinterpret_cast<const char*>(data) + sizeof seed, size - sizeof seed});
  if (!mappings || mappings->size() > 64) return 0;
  const std::uint64_t bytes = (1 + seed % 8192) << 20;
  const auto found = find_guest_memory(*mappings, bytes, [&](std::uint64_t address) { return (address >> 20 ^ seed >> 13) % 3 == 0 ? std::optional(kRoot) : std::nullopt; });
  if (!found) return 0;
  std::uint64_t sum = 0;
  for (const auto& each : found->stretches) {
    sum += each.bytes;
    for (std::uint64_t at = each.at; at < each.at + each.bytes; at += 1 << 20) {
      bool mapped = false;
      for (const Mapping& mapping : *mappings) mapped = mapped || (mapping.begin <= at && at < mapping.end);
      if (!mapped) __builtin_trap();
    }
  }
  if (sum != bytes) __builtin_trap();
  return 0;
}
