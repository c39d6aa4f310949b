// Each kind of frame from a guest's tap to each kind of target: what must pass, what must not, and what was seen, printed as a
// table. Then the same without any rule, so that what is not seen is known to be stopped and not merely invisible.
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>
#include <sstream>

#include "tests/net/packets_fixture.h"

namespace mvm::net {
namespace {

using wire::Op;

constexpr int kLookFor = 30;  // ms; a frame that passes is there as soon as it was sent
constexpr std::uint32_t kMulticast = 224U << 24 | 1;  // all hosts
constexpr Mac kMulticastMac = {0x01, 0x00, 0x5e, 0, 0, 0x01};

enum class Target : std::uint8_t { kSame, kOther, kHost, kOutside, kMetadata };
constexpr std::array kTargets = {"same tenant", "other tenant", "host", "outside", "metadata"};
constexpr std::array kKinds = {"ICMP", "TCP", "UDP", "ARP", "broadcast", "multicast", "fragments", "IPv6", "VLAN",
                               "spoofed MAC", "spoofed IP", "raw 802.3"};

// What the design lets pass; all else is stopped. ARP for the gateway is answered; nothing else of the host's is there.
bool may_pass(Target target, std::string_view kind) {
  const bool routable = kind == "ICMP" || kind == "TCP" || kind == "UDP" || kind == "fragments";
  switch (target) {
    case Target::kSame: return routable || kind == "ARP" || kind == "broadcast" || kind == "multicast";
    case Target::kHost: return kind == "ARP";
    case Target::kOutside: return routable;
    case Target::kOther:
    case Target::kMetadata: return false;
  }
  return false;
}

// Everything of the host's that could see a frame of a guest's: sockets of each protocol, and what its bridge hands up.
class Host {
 public:
  Host() {
    for (const int protocol : {IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP})
      sockets_.emplace_back(socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol));
    link_ = Fd(socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, htons(ETH_P_ALL)));
    sockaddr_ll bridge{};
    bridge.sll_family = AF_PACKET;
    bridge.sll_protocol = htons(ETH_P_ALL);
    bridge.sll_ifindex = static_cast<int>(if_nametoindex(bridge_name(kOne).c_str()));
    EXPECT_EQ(0, bind(link_.get(), reinterpret_cast<sockaddr*>(&bridge), sizeof bridge));
  }
  // IPv4 counts where a socket of the host's gets it, all else where the bridge hands it up.
  bool sees(const Frame& marker, bool ipv4) const {
    bool seen = false;
    if (!ipv4) seen = drain(link_, marker);
    else (void)drain(link_, marker);
    for (const Fd& one : sockets_) {
      const bool here = drain(one, marker);
      seen |= here && ipv4;
    }
    return seen;
  }

 private:
  static bool drain(const Fd& from, const Frame& marker) {
    bool seen = false;
    std::array<std::uint8_t, 4096> bytes;
    for (ssize_t size = 0; (size = recv(from.get(), bytes.data(), bytes.size(), 0)) > 0;)
      seen |= std::search(bytes.begin(), bytes.begin() + size, marker.begin(), marker.end()) != bytes.begin() + size;
    return seen;
  }
  std::vector<Fd> sockets_;
  Fd link_;
};

class PacketTable : public Packets {
 protected:
  // The frames of that kind from the first instance to the target, each with the marker in it.
  std::vector<Frame> frames_of(Target target, std::string_view kind, const Frame& marker) {
    Ends ends = ends_to(target);
    const auto sent_as = [&](const Ends& with) { return ipv4_frame(with, IPPROTO_UDP, udp(source_port_, kPort, marker)); };
    if (kind == "ICMP") return {ipv4_frame(ends, IPPROTO_ICMP, icmp_echo(marker))};
    if (kind == "TCP") return {ipv4_frame(ends, IPPROTO_TCP, tcp_syn(ends, source_port_, kPort, marker))};
    if (kind == "UDP") return {sent_as(ends)};
    if (kind == "ARP") return {padded(arp_request(ends), marker)};
    if (kind == "broadcast") return {sent_as({ends.source_mac, kBroadcast, ends.source, broadcast_of(target)})};
    if (kind == "multicast") return {sent_as({ends.source_mac, kMulticastMac, ends.source, kMulticast})};
    if (kind == "IPv6") return {ethernet(ends.source_mac, ends.target_mac, ETH_P_IPV6, ipv6(marker))};
    if (kind == "VLAN") return {tagged(sent_as(ends), 5)};
    if (kind == "raw 802.3") return {ethernet(ends.source_mac, ends.target_mac, 46, padded(Frame(46 - marker.size(), 0xaa), marker))};
    if (kind == "spoofed MAC") {
      ends.source_mac = instance_mac(kOne, 9);
      return {sent_as(ends)};
    }
    if (kind == "spoofed IP") {
      ends.source = address(kOne, 9);
      return {sent_as(ends)};
    }
    // Two fragments of one datagram, with the marker in both.
    Frame first = marker;
    first.resize(24, 0);
    Frame datagram = udp(source_port_, kPort, padded(first, marker));
    constexpr std::uint16_t kMore = 0x2000;
    return {ipv4_frame(ends, IPPROTO_UDP, Frame(datagram.begin(), datagram.begin() + 32), kMore),
            ipv4_frame(ends, IPPROTO_UDP, Frame(datagram.begin() + 32, datagram.end()), 32 / 8)};
  }

  struct Cell {
    Frame marker;
    std::vector<Frame> frames;
  };
  using Cells = std::map<std::pair<Target, std::string_view>, Cell>;

  Cells built_here() {
    Cells cells;
    for (std::size_t t = 0; t < kTargets.size(); ++t)
      for (const char* kind : kKinds) {
        ++source_port_;
        const Frame marker = {0x6d, 0x76, 0x6d, 0x21, static_cast<std::uint8_t>(source_port_ >> 8), static_cast<std::uint8_t>(source_port_), 0x5a, 0xa5};
        cells[{static_cast<Target>(t), kind}] = {marker, frames_of(static_cast<Target>(t), kind, marker)};
      }
    return cells;
  }

  static Cells built_by_scapy() {
    std::string command = "/usr/bin/python3 " MVM_SCAPY_FRAMES " mac=" + mac_to_string(instance_mac(kOne, 3)) + " ip=" + ipv4_to_string(address(kOne, 3)) +
                          " other_mac=" + mac_to_string(instance_mac(kOne, 9)) + " other_ip=" + ipv4_to_string(address(kOne, 9));
    for (std::size_t t = 0; t < kTargets.size(); ++t) {
      const auto target = static_cast<Target>(t);
      const Ends ends = ends_to(target);
      command += std::string(" '") + kTargets[t] + "=" + mac_to_string(ends.target_mac) + "," + ipv4_to_string(ends.target) + "," +
                 ipv4_to_string(broadcast_of(target)) + "'";
    }
    Cells cells;
    std::istringstream lines(shell(command));
    for (std::string target, kind, marker, frame; lines >> target >> kind >> marker >> frame;) {
      const auto named = [](std::string name) { return [name](const char* one) { std::string with = one; std::ranges::replace(with, ' ', '_'); return with == name; }; };
      const auto t = std::ranges::find_if(kTargets, named(target));
      const auto k = std::ranges::find_if(kKinds, named(kind));
      if (t == kTargets.end() || k == kKinds.end()) return {};
      Cell& cell = cells[{static_cast<Target>(t - kTargets.begin()), *k}];
      cell.marker = from_hex(marker);
      cell.frames.push_back(from_hex(frame));
    }
    return cells;
  }

  bool passes(const Host& host, Target target, std::string_view kind, const Cell& cell) {
    const auto marked = [&](const Frame& frame) {
      return std::search(frame.begin(), frame.end(), cell.marker.begin(), cell.marker.end()) != frame.end();
    };
    for (const Frame& frame : cell.frames) a_->send(frame);
    switch (target) {
      case Target::kSame: return b_->first(marked, kLookFor).has_value();
      case Target::kOther: return stranger_->first(marked, kLookFor).has_value();
      case Target::kHost: return host.sees(cell.marker, kind != "ARP" && kind != "IPv6" && kind != "VLAN" && kind != "raw 802.3");
      case Target::kOutside:
      case Target::kMetadata: return uplink_->first(marked, kLookFor).has_value();
    }
    return false;
  }

  void hold_to_the_design(const Cells& cells);

 private:
  static Ends ends_to(Target target) {
    switch (target) {
      case Target::kSame: return within();
      case Target::kOther: return routed(address(kOther, 3));
      case Target::kHost: return routed(gateway_address(subnet_of(kOne)));
      case Target::kOutside: return routed(kOutside);
      case Target::kMetadata: return routed(kMetadata);
    }
    return {};
  }
  static std::uint32_t broadcast_of(Target target) {
    if (target == Target::kOther) return address(kOther, 255);
    return target == Target::kOutside ? (kOutside | 255) : address(kOne, 255);
  }
  static Frame from_hex(const std::string& text) {
    Frame frame;
    for (std::size_t i = 0; i + 1 < text.size(); i += 2) frame.push_back(static_cast<std::uint8_t>(std::stoul(text.substr(i, 2), nullptr, 16)));
    return frame;
  }
  static Frame padded(Frame frame, const Frame& marker) {
    frame.insert(frame.end(), marker.begin(), marker.end());
    return frame;
  }
  static Frame ipv6(const Frame& marker) {  // RFC 8200, to all nodes of the link
    Frame made(40, 0);
    made[0] = 0x60, made[5] = static_cast<std::uint8_t>(marker.size()), made[6] = 59, made[7] = 64;
    made[8] = 0xfe, made[9] = 0x80, made[23] = 5, made[24] = 0xff, made[25] = 0x02, made[39] = 1;
    return padded(made, marker);
  }
  std::uint16_t source_port_ = 1000;
};

void PacketTable::hold_to_the_design(const Cells& cells) {
  ASSERT_EQ(kTargets.size() * kKinds.size(), cells.size());
  for (const std::uint16_t net : {kOne, kOther}) make(rule_task(Op::kMake, net, lang::kEgressNat));
  const Host host;
  std::map<std::pair<Target, std::string_view>, std::pair<bool, bool>> seen;
  const auto look = [&](auto keep) {
    for (const auto& [at, cell] : cells) keep(seen[at], passes(host, at.first, at.second, cell));
  };
  look([](auto& at, bool passed) { at.first = passed; });
  shell("nft delete table bridge mvm; nft delete table inet mvm; for p in 71 72 74 75 73 73; do ip rule del pref $p; done; "
        "for f in all br-tenant-3; do echo 0 > /proc/sys/net/ipv4/conf/$f/rp_filter; done");
  look([](auto& at, bool passed) { at.second = passed; });

  std::printf("%-12s", "");
  for (const char* target : kTargets) std::printf(" | %-22s", target);
  std::printf("\n");
  for (const char* kind : kKinds) {
    std::printf("%-12s", kind);
    for (std::size_t t = 0; t < kTargets.size(); ++t) {
      const auto target = static_cast<Target>(t);
      const auto [with, without] = seen[{target, kind}];
      const bool must = may_pass(target, kind);
      std::printf(" | %-22s", (std::string(must ? "pass" : "stop") + ": " + (with ? "passed" : without ? "stopped by us" : "stopped")).c_str());
      EXPECT_EQ(must, with) << kind << " to " << kTargets[t];
    }
    std::printf("\n");
  }
  // What leads nowhere without any rule: link-local kinds have no way off their bridge.
  const auto leads_nowhere = [](Target target, std::string_view kind) {
    const bool on_link = kind == "ARP" || kind == "broadcast" || kind == "multicast" || kind == "IPv6" || kind == "VLAN" || kind == "raw 802.3";
    return target != Target::kSame && target != Target::kHost && on_link;
  };
  for (const auto& [at, passed] : seen)
    EXPECT_TRUE(passed.second || leads_nowhere(at.first, at.second)) << "this test could not see " << at.second << " to " << kTargets[static_cast<std::size_t>(at.first)];
}

TEST_F(PacketTable, IsWhatTheDesignSays) { hold_to_the_design(built_here()); }

TEST_F(PacketTable, IsWhatTheDesignSaysOfScapysFrames) { hold_to_the_design(built_by_scapy()); }

}  // namespace
}  // namespace mvm::net
