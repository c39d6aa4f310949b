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

}  // namespace
}  // namespace mvm
