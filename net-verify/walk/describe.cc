#include <linux/if_ether.h>

#include <cstdio>

#include "base/derived.h"
#include "net-verify/walk/walker.h"

namespace mvm::verify {
namespace {

constexpr std::string_view kStates[] = {"invalid", "established", "related", "new", "untracked"};
constexpr std::string_view kTags[] = {"none", "802.1Q", "802.1ad"};

std::string value_text(Field field, std::uint64_t value) {
  char buffer[32];
  switch (field) {
    case Field::kTag: return std::string(kTags[value]);
    case Field::kState: return std::string(kStates[value]);
    case Field::kSource: case Field::kTarget: case Field::kArpSource: case Field::kArpTarget:
      return ipv4_to_string(static_cast<std::uint32_t>(value));
    case Field::kSourceMac: case Field::kTargetMac: case Field::kArpSourceMac: case Field::kArpTargetMac: {
      Mac mac{};
      for (std::size_t i = 0; i < mac.size(); ++i) mac[i] = static_cast<std::uint8_t>(value >> 8 * (5 - i));
      return mac_to_string(mac);
    }
    case Field::kType: case Field::kFragment: case Field::kMark: case Field::kArpHead:
      std::snprintf(buffer, sizeof buffer, "0x%04llx", static_cast<unsigned long long>(value));
      return buffer;
    default: return std::to_string(value);
  }
}

// Fields that a packet of that ethertype has.
bool is_there(Field field, const Interval& type) {
  const bool ipv4 = field >= Field::kSource && field <= Field::kTargetPort;
  const bool arp = field >= Field::kArpHead && field <= Field::kArpTarget;
  if (ipv4) return type.contains(ETH_P_IP);
  return !arp || type.contains(ETH_P_ARP);
}

}  // namespace

std::vector<std::pair<std::string, std::string>> describe(const Box& box) {
  std::vector<std::pair<std::string, std::string>> fields;
  for (std::size_t i = 0; i < kFields; ++i) {
    const auto field = static_cast<Field>(i);
    const Interval& of = box.of(field);
    const bool anything = of == Interval{0, shape(field).most};
    if (anything || !is_there(field, box.of(Field::kType))) continue;
    if ((field == Field::kMark || field == Field::kTag) && of == Interval{0, 0}) continue;
    const std::string low = value_text(field, of.low);
    fields.emplace_back(shape(field).name, of.single() ? low : low + " - " + value_text(field, of.high));
  }
  return fields;
}

}  // namespace mvm::verify
