// What the kernel answers over netlink, decoded: acknowledgements, links, set elements, forwarding, rules and routes. Every length is checked
// and whatever does not fit is kMalformed. Pure; links no netlink library, so that it can be fuzzed as it is.
// Formats: Documentation/userspace-api/netlink/intro.rst; uapi linux/{netlink,rtnetlink,if_link,if_tun,netconf}.h and
// linux/netfilter/nf_tables.h.
// Proven by: tests/net/reply_test.cc, fuzz/netlink_reply_fuzz.cc.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/ids.h"
#include "broker/net/attributes.h"

namespace mvm::net {

inline constexpr std::size_t kMaxReplies = 8192;     // messages in one datagram
inline constexpr std::size_t kMaxReplyText = 200;    // bytes kept of what the kernel says in words

enum class ReplyKind : std::uint8_t { kAnswered, kDone, kData };

// One message of the kernel. `body` is behind the header, borrowed from the datagram.
struct Reply {
  ReplyKind kind = ReplyKind::kData;
  std::uint32_t seq = 0;
  std::uint16_t type = 0;
  bool interrupted = false;  // the table changed while it was dumped (NLM_F_DUMP_INTR): what was read may be torn
  int error = 0;             // errno, positive; 0: success. Of kAnswered and kDone
  std::string text;          // NLMSGERR_ATTR_MSG: what the kernel says about the error, printable ASCII
  Bytes body;
};

// The messages of one datagram, in order. kMalformed where a length does not fit, kLimit above kMaxReplies.
[[nodiscard]] Result<std::vector<Reply>> decode_replies(Bytes datagram);

struct TunState {
  bool present = false;  // the link is a tun device
  bool tap = false;
  bool packet_info = false;
  bool vnet_header = false;
  bool persistent = false;
  std::uint32_t owner = ~std::uint32_t{0};  // ~0: none
  std::uint32_t group = ~std::uint32_t{0};
  bool operator==(const TunState&) const = default;
};

struct Link {
  std::uint32_t index = 0;
  std::uint32_t flags = 0;  // IFF_*
  std::uint32_t master = 0;
  std::uint32_t group = 0;
  std::string name;
  std::string alias;
  std::string kind;  // IFLA_INFO_KIND
  std::array<std::uint8_t, 6> mac{};
  TunState tun;
  std::uint64_t received = 0, sent = 0, dropped = 0;  // frames, by the host: of a tap, what its guest sent, what its VMM took, and what it left lying until there was no room
};

// The body of RTM_NEWLINK.
[[nodiscard]] Result<Link> decode_link(Bytes body);

struct Element {
  std::vector<std::uint8_t> key;
  std::vector<std::uint8_t> key_end;  // of a range in a set of concatenations
  bool interval_end = false;          // closes the range before it
  std::uint32_t verdict = 0;          // NF_DROP, NF_ACCEPT, NFT_GOTO, ... of a verdict map
  std::string object;                 // of an object map
};

// The body of NFT_MSG_NEWSETELEM.
[[nodiscard]] Result<std::vector<Element>> decode_elements(Bytes body);

// One rule of policy routing (ip-rule(8)): which table, or which later rule, a packet is looked up in.
struct PolicyRule {
  std::uint32_t preference = 0;
  std::uint8_t action = 0;  // FR_ACT_*
  std::uint8_t protocol = 0;  // who made it, RTPROT_*
  bool inverted = false;      // `not`: of all its selectors together
  std::string in{};           // iif
  Subnet from{}, to{};        // a prefix of 0: any
  std::uint32_t table = 0;    // of FR_ACT_TO_TBL
  std::uint32_t target = 0;   // of FR_ACT_GOTO: a preference
  bool operator==(const PolicyRule&) const = default;
};

// The body of RTM_NEWRULE of IPv4. Selectors that are not in PolicyRule are not looked at.
[[nodiscard]] Result<PolicyRule> decode_policy_rule(Bytes body);

struct Route {
  std::uint32_t table = 0;
  std::uint8_t type = 0;      // RTN_*
  std::uint8_t protocol = 0;  // RTPROT_*
  Subnet to;
  std::uint32_t out = 0;  // index of the link, 0: none
  bool operator==(const Route&) const = default;
};

// The body of RTM_NEWROUTE of IPv4.
[[nodiscard]] Result<Route> decode_route(Bytes body);

// The body of RTM_NEWNETCONF: whether IPv4 is forwarded. kNotFound where it does not say.
[[nodiscard]] Result<bool> decode_forwarding(Bytes body);
// The same body: how the reverse path is checked (rp_filter: 0 not, 1 strictly, 2 loosely). kNotFound where it does not say.
[[nodiscard]] Result<std::uint32_t> decode_reverse_path(Bytes body);

}  // namespace mvm::net
