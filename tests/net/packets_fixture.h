// Two tenants, the first with two instances; a host that forwards; an uplink with the rest of the world behind it.
#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "base/derived.h"
#include "broker/net/tun.h"
#include "tests/net/frames.h"
#include "tests/net/net_fixture.h"

namespace mvm::net {

inline constexpr std::uint16_t kOne = 3, kOther = 4;  // net ids of two tenants
inline constexpr int kSoon = 3000;                    // ms; enough for a port to come up
inline constexpr int kNever = 150;                    // ms in which a frame would long have come
inline constexpr Mac kOutsideMac = {0x02, 0, 0, 0, 0, 9};
inline constexpr std::uint32_t kOutside = 192U << 24 | 2U << 8 | 9;        // 192.0.2.9, on the uplink
inline constexpr std::uint32_t kUplink = 192U << 24 | 2U << 8 | 1;         // the host's own address there
inline constexpr std::uint32_t kElsewhere = 198U << 24 | 51U << 16 | 100U << 8 | 7;  // behind it
inline constexpr std::uint32_t kMetadata = 169U << 24 | 254U << 16 | 169U << 8 | 254;
inline constexpr std::uint16_t kPort = 4000;

inline std::uint32_t address(std::uint16_t net, std::uint32_t slot) { return slot_address(subnet_of(net), slot); }

class Packets : public InANamespace {
 protected:
  void SetUp() override {
    InANamespace::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    shell("echo 1 > /proc/sys/net/ipv4/ip_forward");
    for (const std::uint16_t net : {kOne, kOther}) make(bridge_task(wire::Op::kMake, net));
    a_ = guest(kOne, 3);
    b_ = guest(kOne, 4);
    stranger_ = guest(kOther, 3);
    uplink_ = uplink();
    // The host need not ask for the guests' MACs, so that nothing but the rules stands between.
    for (const auto& [net, slot] : {std::pair{kOne, 3U}, {kOne, 4U}, {kOther, 3U}})
      shell("ip neigh replace " + ipv4_to_string(address(net, slot)) + " lladdr " + mac_to_string(instance_mac(net, slot)) +
            " dev " + bridge_name(net));
    ASSERT_TRUE(passes_within());
    ASSERT_TRUE(answered_by_its_gateway()) << "ARP";
  }

  std::optional<Port> guest(std::uint16_t net, std::uint32_t slot) {
    const wire::Task task = tap_task(wire::Op::kMake, net, slot);
    make(task);
    Result<Fd> tap = hold_tap(tap_name(net, slot), task.place.uid);
    EXPECT_TRUE(tap) << tap.error().message();
    return tap ? std::optional<Port>(std::move(*tap)) : std::nullopt;
  }

  std::optional<Port> uplink() {
    Result<Fd> tap = hold_tap("up0", 0);
    EXPECT_TRUE(tap) << tap.error().message();
    shell("ip address add 192.0.2.1/24 dev up0; ip link set up0 up; ip neigh add 192.0.2.9 lladdr " + mac_to_string(kOutsideMac) +
          " dev up0; ip route add default via 192.0.2.9");
    return tap ? std::optional<Port>(std::move(*tap)) : std::nullopt;
  }

  // From the first instance to an address that is not its neighbour's: by way of its gateway.
  static Ends routed(std::uint32_t target) { return {instance_mac(kOne, 3), instance_mac(kOne, 1), address(kOne, 3), target}; }
  static Ends within() { return {instance_mac(kOne, 3), instance_mac(kOne, 4), address(kOne, 3), address(kOne, 4)}; }

  static std::function<bool(const Frame&)> udp_to(std::uint32_t target) {
    return [target](const Frame& frame) {
      const auto seen = read_udp(frame);
      return seen && seen->target == target && seen->target_port == kPort;
    };
  }

  // Also says when the ports are up, so that what does not pass later is not merely early.
  bool passes_within() {
    for (int i = 0; i < kSoon / 50; ++i) {
      a_->send(udp_frame(within(), 1, kPort));
      if (b_->first(udp_to(address(kOne, 4)), 50)) return true;
    }
    return false;
  }

  bool answered_by_its_gateway() {
    Ends ends = routed(gateway_address(subnet_of(kOne)));
    a_->send(arp_request(ends));
    return a_->first([](const Frame& frame) { return frame.size() >= 42 && frame[12] == 8 && frame[13] == 6 && frame[21] == 2; }, kSoon)
        .has_value();
  }

  bool reaches_stranger(int wait = kNever) {
    a_->send(udp_frame(routed(address(kOther, 3)), 1, kPort));
    return stranger_->first(udp_to(address(kOther, 3)), wait).has_value();
  }

  std::optional<Frame> gets_out(std::uint32_t target, std::uint16_t source_port = 1) {
    a_->send(udp_frame(routed(target), source_port, kPort));
    return uplink_->first(udp_to(target), kNever);
  }

  // A frame that the second instance must not see, between two that it must.
  bool is_stopped(const Frame& frame, const std::function<bool(const Frame&)>& matches) {
    a_->send(frame);
    return !b_->first(matches, kNever) && passes_within();
  }

  std::optional<Port> a_, b_, stranger_, uplink_;
};

}  // namespace mvm::net
