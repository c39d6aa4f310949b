#include "base/derived.h"

#include <gtest/gtest.h>

namespace mvm {
namespace {

TEST(Derived, LinkNamesFitTheKernelAtTheirLongest) {
  EXPECT_LE(bridge_name(4095).size(), kMaxLinkName);
  EXPECT_LE(tap_name(4095, (1u << 20) - 2).size(), kMaxLinkName);
  EXPECT_EQ(bridge_name(3), "br-tenant-3");
  EXPECT_EQ(tap_name(3, 5), "tn3i5");
}

TEST(Derived, MacsAreLocalUnicastAndDifferByNetAndSlot) {
  EXPECT_EQ(mac_to_string(instance_mac(3, 5)), "06:6d:00:30:00:05");
  EXPECT_EQ(mac_to_string(instance_mac(4095, 0xfffff)), "06:6d:ff:ff:ff:ff");
  EXPECT_EQ(instance_mac(1, 3)[0] & 3, 2);
}

TEST(Derived, UidIsTheAddressInTheCidr) {
  const Subnet cidr{0x0af00000, 12}, acme{0x0af00300, 24};
  EXPECT_EQ(instance_uid(1'000'000, cidr, acme, 5), 1'000'000u + 3 * 256 + 5);
}

TEST(Derived, DevicesOfImagesHaveOneNameEachAndOthersHaveNone) {
  const Digest image = sha256("an image");
  const std::string name = image_device_name(image), hex = to_hex(image.bytes);
  EXPECT_EQ(name, "mvm-image-" + hex);
  EXPECT_EQ(image_of_device(name), image);
  for (const std::string& other : {std::string(), "mvm-data-" + hex, name + "0", name.substr(0, name.size() - 1), "mvm-image-" + std::string(64, 'A'),
                                   "mvm-image-" + std::string(64, '0')}) {
    EXPECT_EQ(image_of_device(other), std::nullopt) << other;
  }
}

}  // namespace
}  // namespace mvm
