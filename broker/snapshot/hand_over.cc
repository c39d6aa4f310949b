#include "broker/snapshot/hand_over.h"

#include <array>
#include <span>

#include "base/descriptors.h"
#include "base/instance_bytes.h"

namespace mvm::snapshot {
namespace {

constexpr std::uint64_t kMagic = 0x31656b61776d766d;  // "mvmwake1", backwards
constexpr std::size_t kDescriptors = 4;

// Both ends are one build on one host.
struct Wire {
  std::uint64_t magic = kMagic;
  InstanceBytes instance;
  Digest line, vmm;
};
static_assert(sizeof(Wire) == 8 + sizeof(InstanceBytes) + 64);

}  // namespace

Status send_hand_over(int link, const HandOver& hand_over) {
  const Wire wire{kMagic, to_bytes(hand_over.instance), hand_over.line, hand_over.vmm};
  const std::array<int, kDescriptors> fds = {hand_over.ours.get(), hand_over.theirs.get(), hand_over.file.get(), hand_over.state.get()};
  auto sent = send_with_descriptors(link, {reinterpret_cast<const std::uint8_t*>(&wire), sizeof wire}, fds);
  if (!sent) sent.error().tried = "hand over " + to_string(hand_over.instance) + ": " + sent.error().tried;
  return sent;
}

Result<HandOver> receive_hand_over(int link) {
  Wire wire;
  auto fds = receive_with_descriptors(link, {reinterpret_cast<std::uint8_t*>(&wire), sizeof wire}, kDescriptors);
  if (!fds) return forward(fds.error());
  const auto instance = from_bytes(wire.instance);
  if (wire.magic != kMagic || !instance) return fail(Errc::kMalformed, "take a snapshot that is handed over");
  return HandOver{*instance, wire.line, wire.vmm, std::move((*fds)[0]), std::move((*fds)[1]), std::move((*fds)[2]), std::move((*fds)[3])};
}

}  // namespace mvm::snapshot
