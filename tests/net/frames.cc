#include "tests/net/frames.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>

namespace mvm::net {
namespace {

constexpr std::size_t kVnetHeader = 10;  // struct virtio_net_hdr, zero: no offloads
constexpr std::size_t kEthernet = 14, kIpv4 = 20, kUdp = 8;

void put16(Frame& frame, std::uint32_t value) {
  frame.push_back(static_cast<std::uint8_t>(value >> 8));
  frame.push_back(static_cast<std::uint8_t>(value));
}

void put32(Frame& frame, std::uint32_t value) {
  put16(frame, value >> 16);
  put16(frame, value & 0xffff);
}

template <class Range>
void put(Frame& frame, const Range& bytes) {
  frame.insert(frame.end(), bytes.begin(), bytes.end());
}

std::uint32_t get(const Frame& frame, std::size_t at, std::size_t size) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < size; ++i) value = value << 8 | frame[at + i];
  return value;
}

std::uint16_t checksum(const Frame& header) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i + 1 < header.size(); i += 2) sum += get(header, i, 2);
  if (header.size() % 2 != 0) sum += std::uint32_t{header.back()} << 8;
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

void set16(Frame& frame, std::size_t at, std::uint16_t value) {
  frame[at] = static_cast<std::uint8_t>(value >> 8);
  frame[at + 1] = static_cast<std::uint8_t>(value);
}

}  // namespace

Frame ethernet(const Mac& source, const Mac& target, std::uint16_t type, const Frame& payload) {
  Frame frame;
  put(frame, target);
  put(frame, source);
  put16(frame, type);
  put(frame, payload);
  return frame;
}

Frame ipv4_frame(const Ends& ends, std::uint8_t protocol, const Frame& payload, std::uint16_t fragment) {
  Frame ip = {0x45, 0};
  put16(ip, static_cast<std::uint32_t>(kIpv4 + payload.size()));
  put16(ip, 0x6d76);
  put16(ip, fragment);
  ip.push_back(64);
  ip.push_back(protocol);
  put16(ip, 0);
  put32(ip, ends.source);
  put32(ip, ends.target);
  set16(ip, 10, checksum(ip));
  put(ip, payload);
  return ethernet(ends.source_mac, ends.target_mac, 0x0800, ip);
}

Frame icmp_echo(const Frame& data) {
  Frame icmp = {8, 0, 0, 0, 0x6d, 0x76, 0, 1};
  put(icmp, data);
  set16(icmp, 2, checksum(icmp));
  return icmp;
}

Frame tcp_syn(const Ends& ends, std::uint16_t source_port, std::uint16_t target_port, const Frame& data) {
  Frame tcp;
  put16(tcp, source_port);
  put16(tcp, target_port);
  put32(tcp, 1);  // sequence
  put32(tcp, 0);
  put(tcp, Frame{0x50, 0x02, 0x10, 0x00, 0, 0, 0, 0});  // header of 5 words, SYN, window
  put(tcp, data);
  Frame pseudo;
  put32(pseudo, ends.source);
  put32(pseudo, ends.target);
  put16(pseudo, 6);
  put16(pseudo, static_cast<std::uint32_t>(tcp.size()));
  put(pseudo, tcp);
  set16(tcp, 16, checksum(pseudo));
  return tcp;
}

Frame udp(std::uint16_t source_port, std::uint16_t target_port, const Frame& data) {
  Frame made;
  put16(made, source_port);
  put16(made, target_port);
  put16(made, static_cast<std::uint32_t>(kUdp + data.size()));
  put16(made, 0);  // no checksum
  put(made, data);
  return made;
}

Frame udp_frame(const Ends& ends, std::uint16_t source_port, std::uint16_t target_port) {
  return ipv4_frame(ends, 17, udp(source_port, target_port, Frame(ends.payload, 0x6d)));
}

Frame arp_request(const Ends& ends) {
  Frame arp = {0, 1, 0x08, 0x00, 6, 4, 0, 1};
  put(arp, ends.source_mac);
  put32(arp, ends.source);
  put(arp, Mac{});
  put32(arp, ends.target);
  return ethernet(ends.source_mac, kBroadcast, 0x0806, arp);
}

Frame with_option(const Frame& frame, const Frame& option) {
  Frame ip(frame.begin() + kEthernet, frame.begin() + kEthernet + kIpv4);
  put(ip, option);
  ip[0] = static_cast<std::uint8_t>(0x40 | ip.size() / 4);
  set16(ip, 2, static_cast<std::uint16_t>(get(ip, 2, 2) + option.size()));
  set16(ip, 10, 0);
  set16(ip, 10, checksum(ip));
  Frame made(frame.begin(), frame.begin() + kEthernet);
  put(made, ip);
  made.insert(made.end(), frame.begin() + kEthernet + kIpv4, frame.end());
  return made;
}

Frame tagged(const Frame& frame, std::uint16_t vlan) {
  Frame made(frame.begin(), frame.begin() + 12);
  put16(made, 0x8100);
  put16(made, vlan);
  made.insert(made.end(), frame.begin() + 12, frame.end());
  return made;
}

std::optional<UdpSeen> read_udp(const Frame& frame) {
  if (frame.size() < kEthernet + kIpv4 + kUdp || get(frame, 12, 2) != 0x0800 || frame[kEthernet] != 0x45) return std::nullopt;
  if (frame[kEthernet + 9] != 17) return std::nullopt;
  const std::size_t udp = kEthernet + kIpv4;
  return UdpSeen{get(frame, kEthernet + 12, 4), get(frame, kEthernet + 16, 4), static_cast<std::uint16_t>(get(frame, udp, 2)),
                 static_cast<std::uint16_t>(get(frame, udp + 2, 2))};
}

void Port::send(const Frame& frame) const {
  Frame sent(kVnetHeader, 0);
  put(sent, frame);
  EXPECT_EQ(static_cast<ssize_t>(sent.size()), write(tap_.get(), sent.data(), sent.size()));
}

std::optional<Frame> Port::receive(int milliseconds) const {
  pollfd ready{tap_.get(), POLLIN, 0};
  if (poll(&ready, 1, std::max(0, milliseconds)) != 1) return std::nullopt;
  Frame frame(70'000);
  const ssize_t size = read(tap_.get(), frame.data(), frame.size());
  if (size < static_cast<ssize_t>(kVnetHeader)) return Frame{};
  return Frame(frame.begin() + kVnetHeader, frame.begin() + size);
}

std::optional<Frame> Port::first(const std::function<bool(const Frame&)>& matches, int milliseconds) const {
  using Clock = std::chrono::steady_clock;
  const auto until = Clock::now() + std::chrono::milliseconds(milliseconds);
  while (true) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now()).count();
    const std::optional<Frame> frame = receive(static_cast<int>(left));
    if (!frame) return std::nullopt;
    if (matches(*frame)) return frame;
    if (left < 0) return std::nullopt;
  }
}

int Port::count(const std::function<bool(const Frame&)>& matches, int milliseconds) const {
  using Clock = std::chrono::steady_clock;
  const auto until = Clock::now() + std::chrono::milliseconds(milliseconds);
  int seen = 0;
  while (first(matches, static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now()).count())))
    ++seen;
  return seen;
}

}  // namespace mvm::net
