// The rtnetlink messages that make, change and read links, addresses and forwarding entries. Builds and reads them; what
// they mean together is bridge.cc's and tap.cc's. rtnetlink(7), uapi linux/if_link.h.
// Proven by: tests/net/emitted_test.cc (each message decoded again), tests/net/bridge_test.cc, tests/net/tap_test.cc.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/ids.h"
#include "broker/net/batch.h"
#include "broker/net/reply.h"
#include "broker/net/socket.h"

namespace mvm::net {

// "mvm": the link group of everything that we make. A bridge gets it in the message that creates it, a tap while it still
// goes away with our descriptor, so there is never a lasting link of ours without it. Only links in this group are ever changed
// or deleted, and the rules hold whatever comes in by one of them.
inline constexpr std::uint32_t kLinkGroup = 0x6d766d;
inline constexpr const char* kLinkAlias = "mvm";  // the same, for people: `ip link show`

// Taps, or bridges without ports, of ours that go at once: the kernel deletes a whole group in one step, and waits once for all
// who still read them. The rules drop whatever comes in by one.
inline constexpr std::uint32_t kLeavingGroup = kLinkGroup + 1;

[[nodiscard]] inline bool is_ours(const Link& link) { return link.group == kLinkGroup || link.group == kLeavingGroup; }

[[nodiscard]] inline bool is_our_bridge(const Link& link) { return is_ours(link) && link.kind == "bridge"; }
[[nodiscard]] inline bool is_our_tap(const Link& link) { return is_ours(link) && link.tun.present; }

using Mac = std::array<std::uint8_t, 6>;

void put_create_bridge(Batch& batch, const std::string& name, const Mac& mac);
// Group; alias; no IPv6 address; and for IPv4: no redirects, no source routes, the reverse path checked, no answer to ARP for
// addresses of other links. Of a link that is down.
void put_bridge_settings(Batch& batch, const std::string& name);
// For a link that will be a port: in addition no answer to ARP at all, and `master`.
void put_port_settings(Batch& batch, const std::string& name, std::uint32_t master);
// The link's own IPv6 off. Refused (EAFNOSUPPORT) where the host has no IPv6, and then not needed.
void put_no_ipv6(Batch& batch, const std::string& name);
// Up, and as a port: learns nothing, is not flooded with unknown unicast, sends no bridge protocol.
void put_port_up(Batch& batch, const std::string& name);
void put_up(Batch& batch, const std::string& name);
// The address with its subnet's prefix; an address that is there is left.
void put_address(Batch& batch, std::uint32_t index, const std::string& name, std::uint32_t address, const Subnet& subnet);
// Frames to `mac` go to this port of its bridge, for good.
void put_forwarding_entry(Batch& batch, std::uint32_t port, const std::string& name, const Mac& mac);
void put_delete(Batch& batch, std::uint32_t index, const std::string& name);
// Into kLeavingGroup; then all that is in it deleted.
void put_leaving(Batch& batch, std::uint32_t index, const std::string& name);
void put_delete_leaving(Batch& batch);

// The link of that name, or nothing where there is none.
[[nodiscard]] Result<std::optional<Link>> find_link(Socket& route, const std::string& name);
// The links of those names, asked for at once; nothing where there is none.
[[nodiscard]] Result<std::vector<std::optional<Link>>> find_links(Socket& route, const std::vector<std::string>& names);
// All links of a kind ("bridge", "tun"), whoever made them.
[[nodiscard]] Result<std::vector<Link>> links_of_kind(Socket& route, const char* kind);
// All ports of a bridge.
[[nodiscard]] Result<std::vector<Link>> ports_of(Socket& route, const Link& bridge);
// Whether the host forwards IPv4 (net.ipv4.ip_forward).
[[nodiscard]] Result<bool> forwards_ipv4(Socket& route);
// Whether a strict check of the reverse path on one link is made a loose one for all (net.ipv4.conf.all.rp_filter=2: the larger
// of both holds).
[[nodiscard]] Result<bool> loosens_reverse_path(Socket& route);

// Turns IPv6 off on all of them; success, too, where the host has none.
[[nodiscard]] Status turn_ipv6_off(Socket& route, const std::vector<std::string>& names);

// Sends one message's batch after `put` filled it.
template <class Put>
[[nodiscard]] Status request(Socket& socket, Put put) {
  Batch batch;
  put(batch);
  return socket.run(batch);
}

}  // namespace mvm::net
