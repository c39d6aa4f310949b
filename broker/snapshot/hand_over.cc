#include "broker/snapshot/hand_over.h"

#include <array>
#include <span>

#include "base/descriptors.h"
#include "base/instance_bytes.h"

namespace mvm::snapshot {
namespace {

constexpr std::uint64_t kMagic = 0x32656b61776d766d;  // "mvmwake2", backwards
constexpr std::size_t kDescriptors = 5;
enum class Base : std::uint64_t { kNone, kGiven };

// Both ends are one build on one host.
struct Wire {
  std::uint64_t magic = kMagic;
  InstanceBytes instance;
  Digest line, vmm;
  Base base = Base::kNone;  // where there is none, the snapshot itself is in its place
};
static_assert(sizeof(Wire) == 16 + sizeof(InstanceBytes) + 64);

constexpr std::uint64_t kHeldMagic = 0x31646c65686d766d;  // "mvmheld1", backwards
constexpr std::size_t kHeldDescriptors = 2;
enum class Pagemap : std::uint64_t { kNone, kGiven };

struct HeldWire {
  std::uint64_t magic = kHeldMagic;
  InstanceBytes instance;
  Digest line;
  std::array<Stretch, 2> stretches;
  Pagemap pagemap = Pagemap::kNone;  // where there is none, the memory itself is in its place
};
static_assert(sizeof(HeldWire) == 16 + sizeof(InstanceBytes) + 64);

}  // namespace

Status send_hand_over(int link, const HandOver& hand_over) {
  const Wire wire{kMagic, to_bytes(hand_over.instance), hand_over.line, hand_over.vmm, hand_over.base.valid() ? Base::kGiven : Base::kNone};
  const int base = hand_over.base.valid() ? hand_over.base.get() : hand_over.file.get();
  const std::array<int, kDescriptors> fds = {hand_over.ours.get(), hand_over.theirs.get(), hand_over.file.get(), base, hand_over.state.get()};
  auto sent = send_with_descriptors(link, {reinterpret_cast<const std::uint8_t*>(&wire), sizeof wire}, fds);
  if (!sent) sent.error().tried = "hand over " + to_string(hand_over.instance) + ": " + sent.error().tried;
  return sent;
}

Result<HandOver> receive_hand_over(int link) {
  Wire wire;
  auto fds = receive_with_descriptors(link, {reinterpret_cast<std::uint8_t*>(&wire), sizeof wire}, kDescriptors);
  if (!fds) return forward(fds.error());
  const auto instance = from_bytes(wire.instance);
  if (wire.magic != kMagic || !instance || wire.base > Base::kGiven) return fail(Errc::kMalformed, "take a snapshot that is handed over");
  if (wire.base == Base::kNone) (*fds)[3].reset();
  return HandOver{*instance, wire.line, wire.vmm, std::move((*fds)[0]), std::move((*fds)[1]), std::move((*fds)[2]), std::move((*fds)[3]), std::move((*fds)[4])};
}

Status send_held_memory(int link, const HeldMemory& held) {
  const Pagemap given = held.pagemap.valid() ? Pagemap::kGiven : Pagemap::kNone;
  const HeldWire wire{kHeldMagic, to_bytes(held.instance), held.line, held.stretches, given};
  const std::array<int, kHeldDescriptors> fds = {held.memory.get(), given == Pagemap::kGiven ? held.pagemap.get() : held.memory.get()};
  auto sent = send_with_descriptors(link, {reinterpret_cast<const std::uint8_t*>(&wire), sizeof wire}, fds);
  if (!sent) sent.error().tried = "give the memory of " + to_string(held.instance) + ": " + sent.error().tried;
  return sent;
}

Result<HeldMemory> receive_held_memory(int link) {
  HeldWire wire;
  auto fds = receive_with_descriptors(link, {reinterpret_cast<std::uint8_t*>(&wire), sizeof wire}, kHeldDescriptors);
  if (!fds) return forward(fds.error());
  const auto instance = from_bytes(wire.instance);
  if (wire.magic != kHeldMagic || !instance || wire.pagemap > Pagemap::kGiven) return fail(Errc::kMalformed, "take the memory of a VMM");
  if (wire.pagemap == Pagemap::kNone) (*fds)[1].reset();
  return HeldMemory{*instance, wire.line, wire.stretches, std::move((*fds)[0]), std::move((*fds)[1])};
}

}  // namespace mvm::snapshot
