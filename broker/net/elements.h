// The sets and maps of the rules: their shapes, their keys, and the messages that add, remove and read elements. All that
// differs between tenants is here, so a change is elements only. nft(8) SETS, MAPS; uapi linux/netfilter/nf_tables.h.
// Proven by: tests/net/emitted_test.cc, tests/net/packets_test.cc.
#pragma once

// Before linux/netfilter.h, whose linux/in.h gives way to it but not the other way round.
#include <netinet/in.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include <array>
#include <cstdint>
#include <functional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/ids.h"
#include "broker/net/batch.h"
#include "broker/net/links.h"
#include "broker/net/reply.h"
#include "broker/net/socket.h"

namespace mvm::net {

inline constexpr std::uint32_t kNamePart = 16;  // IFNAMSIZ: an interface name in a key, padded with NUL
inline constexpr std::uint32_t kMacPart = 8;    // 6 bytes, padded to whole registers
inline constexpr std::uint32_t kAddressPart = 4;
inline constexpr std::size_t kMaxKey = 32;

// How nft names the types of keys (its enum datatypes): not used by the kernel, but shown by `nft list`.
inline constexpr std::uint32_t kIfname = 41, kIpv4Address = 7, kEtherAddress = 9;

struct SetShape {
  const char* name;
  std::uint8_t family;
  std::uint32_t flags;  // NFT_SET_*
  std::uint32_t key_type;
  std::uint32_t key_length;
  std::array<std::uint8_t, 2> parts{};  // lengths of the parts of a key that has ranges
  std::uint32_t part_count = 0;
};

inline constexpr SetShape kWithin{"within", NFPROTO_INET, 0, kIfname << 6 | kIfname, kNamePart + kNamePart};
inline constexpr SetShape kClosed{"closed", NFPROTO_INET, NFT_SET_INTERVAL, kIpv4Address, kAddressPart};
inline constexpr SetShape kEgress{"egress", NFPROTO_INET, NFT_SET_MAP, kIfname, kNamePart};
inline constexpr SetShape kAllowed{"allowed", NFPROTO_INET, NFT_SET_INTERVAL | NFT_SET_CONCAT, kIfname << 6 | kIpv4Address,
                                   kNamePart + kAddressPart, {kNamePart, kAddressPart}, 2};
inline constexpr SetShape kReplies{"replies", NFPROTO_INET, 0, kIfname, kNamePart};
inline constexpr SetShape kPackets{"packets", NFPROTO_INET, NFT_SET_OBJECT, kIfname, kNamePart};
inline constexpr SetShape kBytes{"bytes", NFPROTO_INET, NFT_SET_OBJECT, kIfname, kNamePart};
inline constexpr SetShape kConnections{"connections", NFPROTO_INET, NFT_SET_OBJECT, kIfname, kNamePart};
inline constexpr SetShape kFlows{"flows", NFPROTO_INET, NFT_SET_EVAL, kIfname, kNamePart};
inline constexpr SetShape kClosedAtTaps{"closed", NFPROTO_BRIDGE, NFT_SET_INTERVAL, kIpv4Address, kAddressPart};
inline constexpr SetShape kSources{"sources", NFPROTO_BRIDGE, 0, (kIfname << 6 | kEtherAddress) << 6 | kIpv4Address,
                                   kNamePart + kMacPart + kAddressPart};
inline constexpr std::array kShapes = {&kWithin, &kClosed, &kEgress, &kAllowed, &kReplies,
                                       &kPackets, &kBytes, &kConnections, &kFlows, &kSources, &kClosedAtTaps};
// What a rule puts in. kFlows is not of it: what is counted there goes on while the rule is replaced.
inline constexpr std::array kOfARule = {&kEgress, &kReplies, &kAllowed, &kPackets, &kBytes, &kConnections};
inline constexpr std::array kCounted = {&kFlows};

// A key, part by part, as the rules load it into registers.
class Key {
 public:
  Key& name(std::string_view interface);
  Key& mac(const Mac& mac);
  Key& address(std::uint32_t host_order);
  [[nodiscard]] Bytes bytes() const { return {bytes_.data(), length_}; }

 private:
  void part(Bytes value, std::size_t padded);
  std::array<std::uint8_t, kMaxKey> bytes_{};
  std::size_t length_ = 0;
};

// Of kSources: a tap, and the MAC and address that it sends from.
[[nodiscard]] Key source_of(std::uint16_t net, std::uint32_t slot, std::uint32_t address);

enum class Change : std::uint8_t { kAdd, kRemove };

// What a map holds for a key.
struct Verdict {
  std::uint32_t code;           // NF_ACCEPT, NF_DROP, NFT_GOTO
  const char* chain = nullptr;  // of NFT_GOTO
};

// Each is one message. Adding what is there with the same value is success; with another value kBusy. Removing what is not
// there is kNotFound, and then nothing of the transaction happens.
void put_element(Batch& batch, Change change, const SetShape& set, const Key& key);
// The same for many, in as few messages as hold them.
void put_elements(Batch& batch, Change change, const SetShape& set, std::span<const Key> keys);
// Refused (kExists) where the map has the key already, whatever the verdict.
void put_new_verdict(Batch& batch, const SetShape& map, const Key& key, Verdict verdict);
void put_object(Batch& batch, const SetShape& map, const Key& key, const std::string& object);
// One element of kAllowed: the subnet, for the key's interface.
void put_allowed(Batch& batch, Change change, std::string_view interface, const Subnet& subnet);
// The kernel keeps a range of addresses as where it begins and where what is behind it does.
struct RangeEnd {
  std::uint32_t address = 0;
  bool behind = false;
  auto operator<=>(const RangeEnd&) const = default;
};
// In as few messages as hold them.
void put_range_ends(Batch& batch, const SetShape& set, std::span<const RangeEnd> ends);
// Takes out all that the set has.
void put_flush(Batch& batch, const SetShape& set);
// Removes exactly the element that was read.
void put_remove(Batch& batch, const SetShape& set, const Element& element);
// Removes all that those sets have for those interfaces, and then the limits that it referred to.
using Names = std::set<std::string, std::less<>>;
[[nodiscard]] Status put_remove_all(Batch& batch, Socket& nft, std::span<const SetShape* const> sets, const Names& interfaces);

enum class LimitOf : std::uint8_t { kCount, kLength };  // of packets

// A token bucket; `over` it the rule goes on. burst in the same unit.
struct Limit {
  LimitOf of = LimitOf::kCount;
  std::uint64_t per_second = 0;
  std::uint32_t burst = 0;
};
void put_limit(Batch& batch, const std::string& name, const Limit& limit);
void put_delete_limit(Batch& batch, const std::string& name);

// All elements; none where there is no such set.
[[nodiscard]] Result<std::vector<Element>> read_set(Socket& nft, const SetShape& set);
// The interface named by the first part of a key.
[[nodiscard]] std::string_view interface_of(const Element& element);

}  // namespace mvm::net
