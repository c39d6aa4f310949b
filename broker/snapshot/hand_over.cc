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

}  // namespace mvm::snapshot
