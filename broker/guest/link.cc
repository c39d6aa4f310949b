#include "broker/guest/link.h"

#include <array>

#include "base/descriptors.h"
#include "base/instance_bytes.h"

namespace mvm::guest_worker {
namespace {

constexpr std::uint64_t kMagic = 0x3174656d6d766d;  // "mvmmet1", backwards

struct Wire {
  std::uint64_t magic = kMagic;
  InstanceBytes instance;
};
static_assert(sizeof(Wire) == 8 + sizeof(InstanceBytes));

}  // namespace

Status send_connected(int link, const Connected& connected) {
  const Wire wire{kMagic, to_bytes(connected.instance)};
  return send_with_descriptors(link, {reinterpret_cast<const std::uint8_t*>(&wire), sizeof wire}, std::array{connected.connection.get()});
}

Result<Connected> receive_connected(int link) {
  Wire wire;
  auto fds = receive_with_descriptors(link, {reinterpret_cast<std::uint8_t*>(&wire), sizeof wire}, 1);
  if (!fds) return forward(fds.error());
  const auto instance = from_bytes(wire.instance);
  if (wire.magic != kMagic || !instance) return fail(Errc::kMalformed, "take a connection to a guest");
  return Connected{*instance, std::move(fds->front())};
}

}  // namespace mvm::guest_worker
