// Frames as a guest would send them, byte by byte, and the port of a tap that sends and sees them. RFC 791, 768, 826; IEEE 802.3.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "broker/net/links.h"

namespace mvm::net {

using Frame = std::vector<std::uint8_t>;

inline constexpr Mac kBroadcast = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

struct Ends {
  Mac source_mac, target_mac;
  std::uint32_t source = 0, target = 0;  // host order
  std::uint16_t payload = 4;             // bytes of UDP
};

[[nodiscard]] Frame udp_frame(const Ends& ends, std::uint16_t source_port, std::uint16_t target_port);
// IPv4 with that protocol and payload; `fragment` is the header's word of flags and offset.
[[nodiscard]] Frame ipv4_frame(const Ends& ends, std::uint8_t protocol, const Frame& payload, std::uint16_t fragment = 0);
// With right checksums: an echo request, a segment with SYN; `data` behind the header.
[[nodiscard]] Frame icmp_echo(const Frame& data);
[[nodiscard]] Frame tcp_syn(const Ends& ends, std::uint16_t source_port, std::uint16_t target_port, const Frame& data);
[[nodiscard]] Frame udp(std::uint16_t source_port, std::uint16_t target_port, const Frame& data);  // without one
[[nodiscard]] Frame arp_request(const Ends& ends);  // the sender in ARP is the sender of the frame
[[nodiscard]] Frame ethernet(const Mac& source, const Mac& target, std::uint16_t type, const Frame& payload);
// An IPv4 frame without options, with that one; its length is a multiple of 4.
[[nodiscard]] Frame with_option(const Frame& frame, const Frame& option);
// The frame with an 802.1Q tag.
[[nodiscard]] Frame tagged(const Frame& frame, std::uint16_t vlan);

struct UdpSeen {
  std::uint32_t source, target;
  std::uint16_t source_port, target_port;
};
// What is in the frame, where it is UDP over IPv4.
[[nodiscard]] std::optional<UdpSeen> read_udp(const Frame& frame);

// The guest's side of a tap.
class Port {
 public:
  explicit Port(Fd tap) : tap_(std::move(tap)) {}
  void send(const Frame& frame) const;
  // How many frames that `matches` came within the time.
  [[nodiscard]] int count(const std::function<bool(const Frame&)>& matches, int milliseconds) const;
  // The first such frame, if any came within the time.
  [[nodiscard]] std::optional<Frame> first(const std::function<bool(const Frame&)>& matches, int milliseconds) const;

 private:
  [[nodiscard]] std::optional<Frame> receive(int milliseconds) const;
  Fd tap_;
};

}  // namespace mvm::net
