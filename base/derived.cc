#include "base/derived.h"

namespace mvm {
namespace {

constexpr std::string_view kDataDevice = "mvm-data-";
constexpr std::string_view kImageDevice = "mvm-image-";

}  // namespace

std::string bridge_name(std::uint16_t net) { return "br-tenant-" + std::to_string(net); }

std::string tap_name(std::uint16_t net, std::uint32_t slot) {
  return "tn" + std::to_string(net) + "i" + std::to_string(slot);
}

std::array<std::uint8_t, 6> instance_mac(std::uint16_t net, std::uint32_t slot) {
  const std::uint32_t tail = static_cast<std::uint32_t>(net) << 20 | slot;
  return {0x06, 0x6d, static_cast<std::uint8_t>(tail >> 24), static_cast<std::uint8_t>(tail >> 16),
          static_cast<std::uint8_t>(tail >> 8), static_cast<std::uint8_t>(tail)};
}

std::string mac_to_string(const std::array<std::uint8_t, 6>& mac) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string text;
  for (const std::uint8_t byte : mac) {
    if (!text.empty()) text += ':';
    text += kHex[byte >> 4];
    text += kHex[byte & 15];
  }
  return text;
}

std::string instance_path(const Subject& instance) { return to_string(instance); }

std::string memory_name(const Subject& instance) {
  return std::string(instance.tenant.view()) + "." + std::string(instance.pool.view()) + "." + to_string(instance.instance).substr(2);
}

std::optional<Subject> instance_of_memory(std::string_view name) {
  const std::size_t first = name.find('.'), last = name.rfind('.');
  if (first == std::string_view::npos || first == last) return std::nullopt;
  const auto tenant = Name::from(name.substr(0, first)), pool = Name::from(name.substr(first + 1, last - first - 1));
  const auto instance = InstanceId::from("i-" + std::string(name.substr(last + 1)));
  if (!tenant || !pool || !instance) return std::nullopt;
  return instance_subject(*tenant, *pool, *instance);
}

std::string data_device_name(const Subject& instance) { return std::string(kDataDevice) + memory_name(instance); }

std::optional<Subject> instance_of_data_device(std::string_view name) {
  if (!name.starts_with(kDataDevice)) return std::nullopt;
  return instance_of_memory(name.substr(kDataDevice.size()));
}

std::string image_device_name(const Digest& image) { return std::string(kImageDevice) + to_hex(image.bytes); }

std::optional<Digest> image_of_device(std::string_view name) {
  if (!name.starts_with(kImageDevice)) return std::nullopt;
  const auto bytes = hex32(name.substr(kImageDevice.size()));
  return bytes && Digest{*bytes} != Digest{} ? std::optional(Digest{*bytes}) : std::nullopt;
}

}  // namespace mvm
