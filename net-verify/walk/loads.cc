// Payload, meta and conntrack: what of a packet and of its place a rule gets into a register.
#include <linux/if_ether.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <net/if.h>

#include "net-verify/walk/rule_run.h"

namespace mvm::verify {
namespace {

constexpr Byte kSendersByte{ByteKind::kSenders, Field::kType, 0, 0, 0};
constexpr std::uint16_t kTagTypes[] = {0, ETH_P_8021Q, ETH_P_8021AD};

std::vector<Byte> senders(std::size_t count) { return std::vector<Byte>(count, kSendersByte); }

void append(std::vector<Byte>& bytes, const std::vector<Byte>& more) { bytes.insert(bytes.end(), more.begin(), more.end()); }

std::vector<Byte> constant16(std::uint16_t value) {
  return {constant(static_cast<std::uint8_t>(value >> 8)), constant(static_cast<std::uint8_t>(value))};
}

std::vector<Byte> host_order(std::uint32_t value) {
  std::vector<Byte> bytes;
  for (int i = 0; i < 4; ++i) bytes.push_back(constant(static_cast<std::uint8_t>(value >> 8 * i)));
  return bytes;
}

std::vector<Byte> text(const std::string& name) {
  std::vector<Byte> bytes;
  for (std::size_t i = 0; i < IFNAMSIZ; ++i) bytes.push_back(constant(i < name.size() ? static_cast<std::uint8_t>(name[i]) : std::uint8_t{0}));
  return bytes;
}

std::vector<Byte> ipv4_header() {  // RFC 791
  std::vector<Byte> bytes = senders(6);
  append(bytes, bytes_of(Field::kFragment));
  append(bytes, senders(1));
  append(bytes, bytes_of(Field::kProtocol));
  append(bytes, senders(2));
  append(bytes, bytes_of(Field::kSource));
  append(bytes, bytes_of(Field::kTarget));
  return bytes;
}

std::vector<Byte> arp_packet() {  // RFC 826, with the lengths of Ethernet and IPv4
  std::vector<Byte> bytes = bytes_of(Field::kArpHead);
  for (const Field field : {Field::kArpOperation, Field::kArpSourceMac, Field::kArpSource, Field::kArpTargetMac, Field::kArpTarget})
    append(bytes, bytes_of(field));
  return bytes;
}

struct Part {
  Box box;
  std::uint64_t type;  // 0: any other
};

// The packets by what their network header is.
std::vector<Part> by_type(const Box& box) {
  std::vector<Part> parts;
  std::vector<Box> taken;
  for (const std::uint64_t type : {ETH_P_IP, ETH_P_ARP, ETH_P_IPV6})
    if (const Box part = box.within(Field::kType, {type, type}); !part.empty()) {
      parts.push_back({part, type});
      taken.push_back(part);
    }
  for (const Box& rest : without(box, taken)) parts.push_back({rest, 0});
  return parts;
}

Lot narrowed(const Lot& lot, const Box& box) {
  Lot made = lot;
  made.packets.box = box;
  return made;
}

}  // namespace

// What lies behind the part of a header that is modelled is the sender's.
void RuleRun::load_fields(Lot lot, const Expr& expr, std::span<const Byte> header) {
  std::vector<Byte> bytes;
  for (std::size_t i = expr.offset; i < std::size_t{expr.offset} + expr.length; ++i)
    bytes.push_back(i < header.size() ? header[i] : kSendersByte);
  load(std::move(lot), expr.destination, std::move(bytes));
}

void RuleRun::payload(const Expr& expr, const Lot& lot) {
  if (expr.length == 0 || expr.length > kRegisterBytes) {
    lost("a payload of no or too great length");
    return miss(lot.packets);
  }
  if (expr.writes) {
    lost("it changes the packet");
    miss(lot.packets);
    return go_on(lot);
  }
  switch (expr.base) {
    case NFT_PAYLOAD_LL_HEADER: return link_layer(expr, lot);
    case NFT_PAYLOAD_NETWORK_HEADER: return network(expr, lot);
    case NFT_PAYLOAD_TRANSPORT_HEADER: return transport(expr, lot);
    default: return load_fields(lot, expr, {});
  }
}

// A tag that the kernel took out of the frame is put back for who reads it (nft_payload_copy_vlan).
void RuleRun::link_layer(const Expr& expr, Lot lot) {
  std::vector<Byte> header = bytes_of(Field::kTargetMac);
  append(header, bytes_of(Field::kSourceMac));
  for (std::uint64_t tag = 0; tag <= shape(Field::kTag).most; ++tag) {
    const Box part = lot.packets.box.within(Field::kTag, {tag, tag});
    if (part.empty()) continue;
    std::vector<Byte> whole = header;
    if (tag != 0) {
      append(whole, constant16(kTagTypes[tag]));
      append(whole, senders(2));
    }
    append(whole, bytes_of(Field::kType));
    load_fields(narrowed(lot, part), expr, whole);
  }
}

void RuleRun::network(const Expr& expr, Lot lot) {
  for (const Part& part : by_type(lot.packets.box)) {
    const std::vector<Byte> header = part.type == ETH_P_IP ? ipv4_header() : part.type == ETH_P_ARP ? arp_packet() : std::vector<Byte>{};
    load_fields(narrowed(lot, part.box), expr, header);
  }
}

// There is none in a later fragment, nor where the packet is not IP: the rule ends there (nft_payload_eval).
void RuleRun::transport(const Expr& expr, Lot lot) {
  for (const Part& part : by_type(lot.packets.box)) {
    const Lot one = narrowed(lot, part.box);
    if (part.type == ETH_P_IPV6) {
      miss(one.packets);
      load_fields(one, expr, {});
      continue;
    }
    if (part.type != ETH_P_IP) {
      miss(one.packets);
      continue;
    }
    std::vector<Byte> header = bytes_of(Field::kSourcePort);
    append(header, bytes_of(Field::kTargetPort));
    std::vector<Box> first;
    const auto whole_or_first = masked_equal(Field::kFragment, 0x1fff, 0);
    for (const Interval& flags : *whole_or_first)
      if (const Box box = part.box.within(Field::kFragment, flags); !box.empty()) first.push_back(box);
    for (const Box& box : without(part.box, first)) miss(one.packets.in(box));
    for (const Box& box : first) load_fields(narrowed(one, box), expr, header);
  }
}

void RuleRun::meta(const Expr& expr, const Lot& lot) {
  const auto name = [](const Link* link) { return text(link == nullptr ? "" : link->name); };
  const auto index = [](const Link* link) { return host_order(link == nullptr ? 0 : link->index); };
  const auto put = [&](std::vector<Byte> bytes) { load(lot, expr.destination, std::move(bytes)); };
  // Without the link there is no group and no kind: the rule ends.
  const auto of_link = [&](const Link* link, std::vector<Byte> bytes) { return link == nullptr ? miss(lot.packets) : put(std::move(bytes)); };
  if (place_.any_out && (expr.key == NFT_META_OIFNAME || expr.key == NFT_META_OIF || expr.key == NFT_META_OIFGROUP || expr.key == NFT_META_OIFKIND))
    return put(std::vector<Byte>(expr.key == NFT_META_OIFNAME || expr.key == NFT_META_OIFKIND ? IFNAMSIZ : 4));
  switch (expr.key) {
    case NFT_META_PROTOCOL: return put(bytes_of(Field::kType));
    case NFT_META_NFPROTO: return put({constant(place_.protocol)});
    case NFT_META_MARK: return put(bytes_of(Field::kMark));
    case NFT_META_IIFNAME: return put(name(place_.in));
    case NFT_META_OIFNAME: return put(name(place_.out));
    case NFT_META_IIF: return put(index(place_.in));
    case NFT_META_OIF: return put(index(place_.out));
    case NFT_META_IIFGROUP: return of_link(place_.in, host_order(place_.in == nullptr ? 0 : place_.in->group));
    case NFT_META_OIFGROUP: return of_link(place_.out, host_order(place_.out == nullptr ? 0 : place_.out->group));
    case NFT_META_IIFKIND: return of_link(place_.in, text(place_.in == nullptr ? "" : place_.in->kind));
    case NFT_META_OIFKIND: return of_link(place_.out, text(place_.out == nullptr ? "" : place_.out->kind));
    case NFT_META_BRI_IIFNAME: return of_link(place_.in_bridge, name(place_.in_bridge));
    case NFT_META_BRI_OIFNAME: return of_link(place_.out_bridge, name(place_.out_bridge));
    case NFT_META_L4PROTO:
      for (const Part& part : by_type(lot.packets.box)) {
        const Lot one = narrowed(lot, part.box);
        if (part.type == ETH_P_IP) load(one, expr.destination, bytes_of(Field::kProtocol));
        else if (part.type == ETH_P_IPV6) load(one, expr.destination, senders(1));
        else miss(one.packets);
      }
      return;
    case NFT_META_LEN: case NFT_META_PKTTYPE: case NFT_META_PRIORITY: case NFT_META_PRANDOM: case NFT_META_CPU:
      return put(senders(4));
    default: {
      miss(lot.packets.doubted(name_of(chain_, &rule_) + ": meta key " + std::to_string(expr.key) + " is not modelled"));
      return put(std::vector<Byte>(16));
    }
  }
}

void RuleRun::set_meta(const Expr& expr, Lot lot) {
  if (expr.key == NFT_META_MARK) {
    std::uint64_t value = 0;
    bool known = true;
    const auto bytes = read(lot, expr.source, 4);
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      known = known && bytes[i].kind == ByteKind::kConstant;
      value |= std::uint64_t{bytes[i].value} << 8 * i;
    }
    lot.packets.box = known ? lot.packets.box.with(Field::kMark, value)
                            : lot.packets.box.with(Field::kMark, Interval{0, shape(Field::kMark).most});
  } else if (expr.key != NFT_META_PRIORITY && expr.key != NFT_META_NFTRACE && expr.key != NFT_META_SECMARK) {
    lost("it sets meta key " + std::to_string(expr.key));
  }
  go_on(std::move(lot));
}

void RuleRun::conntrack(const Expr& expr, Lot lot) {
  if (expr.writes) return go_on(std::move(lot));  // marks, labels, zones: nothing that is read here without a doubt
  if (expr.key == NFT_CT_STATE) return load(std::move(lot), expr.destination, bytes_of(Field::kState));
  // How far a connection has come, and how much went over it, is up to who sends.
  for (const std::uint32_t key : {NFT_CT_STATUS, NFT_CT_DIRECTION, NFT_CT_EXPIRATION, NFT_CT_PKTS, NFT_CT_BYTES, NFT_CT_AVGPKT})
    if (expr.key == key) return load(std::move(lot), expr.destination, senders(8));
  miss(lot.packets.doubted(name_of(chain_, &rule_) + ": ct key " + std::to_string(expr.key) + " is not modelled"));
  load(std::move(lot), expr.destination, std::vector<Byte>(16));
}

}  // namespace mvm::verify
