// What follows from names and so is never written in a plan: links, addresses, MACs, uids, cgroups, directories.
// Pure. The same on every node. Proven by: tests/base/derived_test.cc.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/digest.h"
#include "base/ids.h"

namespace mvm {

inline constexpr std::size_t kMaxLinkName = 15;  // IFNAMSIZ - 1

[[nodiscard]] std::string bridge_name(std::uint16_t net);                    // br-tenant-3
[[nodiscard]] std::string tap_name(std::uint16_t net, std::uint32_t slot);   // tn3i5
// 06:6d and 12 bits of net, 20 of slot: locally administered, unicast.
[[nodiscard]] std::array<std::uint8_t, 6> instance_mac(std::uint16_t net, std::uint32_t slot);
[[nodiscard]] std::string mac_to_string(const std::array<std::uint8_t, 6>& mac);
[[nodiscard]] inline std::uint32_t gateway_address(const Subnet& subnet) { return subnet.base + 1; }
[[nodiscard]] inline std::uint32_t slot_address(const Subnet& subnet, std::uint32_t slot) { return subnet.base + slot; }
// uids.first + the offset of the slot's address in the cidr: unique because the addresses are.
[[nodiscard]] inline std::uint64_t instance_uid(std::uint64_t first, const Subnet& cidr, const Subnet& subnet, std::uint32_t slot) {
  return first + (std::uint64_t{slot_address(subnet, slot)} - cidr.base);
}
// "acme/workers/i-a3f7b2c1": below the cgroup root, the jail root, the volume and the snapshot root alike.
[[nodiscard]] std::string instance_path(const Subject& instance);

// "acme.workers.a3f7b2c1": the instance's directory in the memory file system. A dot is in no name of ours.
[[nodiscard]] std::string memory_name(const Subject& instance);
[[nodiscard]] std::optional<Subject> instance_of_memory(std::string_view name);

// "mvm-data-acme.workers.a3f7b2c1": the device of the instance's open volume. A dot is in no name of ours, so no two instances
// have the same; with the longest names, and what cryptsetup puts before it in a device's uuid, just short enough (DM_UUID_LEN).
[[nodiscard]] std::string data_device_name(const Subject& instance);
// Whose it is; nothing where it is no such name.
[[nodiscard]] std::optional<Subject> instance_of_data_device(std::string_view name);

// "mvm-image-5be0...": the device of an image's root file system, the same for all its microVMs.
[[nodiscard]] std::string image_device_name(const Digest& image);
[[nodiscard]] std::optional<Digest> image_of_device(std::string_view name);

}  // namespace mvm
