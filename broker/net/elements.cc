#include "broker/net/elements.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <libnftnl/object.h>
#include <linux/netfilter/nfnetlink.h>

#include <algorithm>
#include <cstdlib>

#include "base/derived.h"
#include "base/owned.h"
#include "broker/net/ruleset.h"

namespace mvm::net {
namespace {

// What one element carries beside its key.
struct Extra {
  const Key* key_end = nullptr;
  const Verdict* verdict = nullptr;
  const char* object = nullptr;
  std::uint32_t flags = 0;  // NFT_SET_ELEM_*
  std::uint16_t request = NLM_F_CREATE;  // of an addition
};

void put_value(nlmsghdr* message, std::uint16_t type, Bytes value) {
  nlattr* nest = mnl_attr_nest_start(message, type);
  mnl_attr_put(message, NFTA_DATA_VALUE, value.size(), value.data());
  mnl_attr_nest_end(message, nest);
}

void put_verdict_data(nlmsghdr* message, const Verdict& verdict) {
  nlattr* data = mnl_attr_nest_start(message, NFTA_SET_ELEM_DATA);
  nlattr* nest = mnl_attr_nest_start(message, NFTA_DATA_VERDICT);
  mnl_attr_put_u32(message, NFTA_VERDICT_CODE, htonl(verdict.code));
  if (verdict.chain != nullptr) mnl_attr_put_strz(message, NFTA_VERDICT_CHAIN, verdict.chain);
  mnl_attr_nest_end(message, nest);
  mnl_attr_nest_end(message, data);
}

// `request`: NLM_F_* of an addition. Without elements, a removal takes all out.
nlmsghdr* begin_elements(Batch& batch, Change change, const SetShape& set, std::uint16_t request) {
  const bool add = change == Change::kAdd;
  nlmsghdr* message = add_nft(batch, add ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM, set.family,
                              add ? static_cast<std::uint16_t>(NLM_F_ACK | request) : NLM_F_ACK,
                              {add ? "add to the set" : "remove from the set", set.name});
  mnl_attr_put_strz(message, NFTA_SET_ELEM_LIST_TABLE, kTable);
  mnl_attr_put_strz(message, NFTA_SET_ELEM_LIST_SET, set.name);
  return message;
}

void put_in_list(nlmsghdr* message, Bytes key, const Extra& extra) {
  nlattr* element = mnl_attr_nest_start(message, NFTA_LIST_ELEM);
  if (extra.flags != 0) mnl_attr_put_u32(message, NFTA_SET_ELEM_FLAGS, htonl(extra.flags));
  put_value(message, NFTA_SET_ELEM_KEY, key);
  if (extra.key_end != nullptr) put_value(message, NFTA_SET_ELEM_KEY_END, extra.key_end->bytes());
  if (extra.verdict != nullptr) put_verdict_data(message, *extra.verdict);
  if (extra.object != nullptr) mnl_attr_put_strz(message, NFTA_SET_ELEM_OBJREF, extra.object);
  mnl_attr_nest_end(message, element);
}

void put_one(Batch& batch, Change change, const SetShape& set, Bytes key, const Extra& extra) {
  nlmsghdr* message = begin_elements(batch, change, set, extra.request);
  nlattr* list = mnl_attr_nest_start(message, NFTA_SET_ELEM_LIST_ELEMENTS);
  put_in_list(message, key, extra);
  mnl_attr_nest_end(message, list);
}

constexpr std::size_t kKeysInAMessage = 128;
constexpr std::size_t kRoomOfAKey = kMaxKey + 3 * kAttributeHeader;
static_assert(kKeysInAMessage * kRoomOfAKey + 1024 < kMessageRoom);

}  // namespace

void Key::part(Bytes value, std::size_t padded) {
  if (value.size() > padded || length_ + padded > bytes_.size()) std::abort();
  std::ranges::copy(value, bytes_.begin() + static_cast<std::ptrdiff_t>(length_));
  length_ += padded;
}

Key& Key::name(std::string_view interface) {
  part({reinterpret_cast<const std::uint8_t*>(interface.data()), interface.size()}, kNamePart);
  return *this;
}

Key& Key::mac(const Mac& mac) {
  part(mac, kMacPart);
  return *this;
}

Key& Key::address(std::uint32_t host_order) {
  const std::uint32_t wire = htonl(host_order);
  part({reinterpret_cast<const std::uint8_t*>(&wire), sizeof wire}, kAddressPart);
  return *this;
}

Key source_of(std::uint16_t net, std::uint32_t slot, std::uint32_t address) {
  return Key().name(tap_name(net, slot)).mac(instance_mac(net, slot)).address(address);
}

void put_element(Batch& batch, Change change, const SetShape& set, const Key& key) {
  put_one(batch, change, set, key.bytes(), {});
}

void put_elements(Batch& batch, Change change, const SetShape& set, std::span<const Key> keys) {
  for (; !keys.empty(); keys = keys.subspan(std::min(kKeysInAMessage, keys.size()))) {
    nlmsghdr* message = begin_elements(batch, change, set, NLM_F_CREATE);
    nlattr* list = mnl_attr_nest_start(message, NFTA_SET_ELEM_LIST_ELEMENTS);
    for (const Key& key : keys.first(std::min(kKeysInAMessage, keys.size()))) put_in_list(message, key.bytes(), {});
    mnl_attr_nest_end(message, list);
  }
}

void put_new_verdict(Batch& batch, const SetShape& map, const Key& key, Verdict verdict) {
  put_one(batch, Change::kAdd, map, key.bytes(), {.verdict = &verdict, .request = NLM_F_CREATE | NLM_F_EXCL});
}

void put_object(Batch& batch, const SetShape& map, const Key& key, const std::string& object) {
  put_one(batch, Change::kAdd, map, key.bytes(), {.object = object.c_str()});
}

void put_allowed(Batch& batch, Change change, std::string_view interface, const Subnet& subnet) {
  const Key first = Key().name(interface).address(subnet.base);
  const Key last = Key().name(interface).address(static_cast<std::uint32_t>(subnet.base + subnet.size() - 1));
  put_one(batch, change, kAllowed, first.bytes(), {.key_end = &last});
}

void put_range_ends(Batch& batch, const SetShape& set, std::span<const RangeEnd> ends) {
  for (; !ends.empty(); ends = ends.subspan(std::min(kKeysInAMessage, ends.size()))) {
    nlmsghdr* message = begin_elements(batch, Change::kAdd, set, NLM_F_CREATE);
    nlattr* list = mnl_attr_nest_start(message, NFTA_SET_ELEM_LIST_ELEMENTS);
    for (const RangeEnd& end : ends.first(std::min(kKeysInAMessage, ends.size())))
      put_in_list(message, Key().address(end.address).bytes(), {.flags = end.behind ? std::uint32_t{NFT_SET_ELEM_INTERVAL_END} : 0U});
    mnl_attr_nest_end(message, list);
  }
}

void put_flush(Batch& batch, const SetShape& set) {
  (void)begin_elements(batch, Change::kRemove, set, 0);
}

void put_remove(Batch& batch, const SetShape& set, const Element& element) {
  Key end;
  if (element.key_end.size() == kNamePart + kAddressPart) {
    std::uint32_t address = 0;
    std::memcpy(&address, element.key_end.data() + kNamePart, sizeof address);
    end.name(read_text(Bytes(element.key_end).first(kNamePart))).address(ntohl(address));
  }
  put_one(batch, Change::kRemove, set, element.key,
          {.key_end = element.key_end.empty() ? nullptr : &end, .flags = element.interval_end ? std::uint32_t{NFT_SET_ELEM_INTERVAL_END} : 0U});
}

void put_limit(Batch& batch, const std::string& name, const Limit& limit) {
  const Owned<nftnl_obj, &nftnl_obj_free> object(nftnl_obj_alloc());
  nftnl_obj_set_u32(object.get(), NFTNL_OBJ_FAMILY, NFPROTO_INET);
  nftnl_obj_set_u32(object.get(), NFTNL_OBJ_TYPE, NFT_OBJECT_LIMIT);
  nftnl_obj_set_str(object.get(), NFTNL_OBJ_TABLE, kTable);
  nftnl_obj_set_str(object.get(), NFTNL_OBJ_NAME, name.c_str());
  nftnl_obj_set_u64(object.get(), NFTNL_OBJ_LIMIT_RATE, limit.per_second);
  nftnl_obj_set_u64(object.get(), NFTNL_OBJ_LIMIT_UNIT, 1);  // seconds
  nftnl_obj_set_u32(object.get(), NFTNL_OBJ_LIMIT_BURST, limit.burst);
  nftnl_obj_set_u32(object.get(), NFTNL_OBJ_LIMIT_TYPE, limit.of == LimitOf::kCount ? NFT_LIMIT_PKTS : NFT_LIMIT_PKT_BYTES);
  nftnl_obj_set_u32(object.get(), NFTNL_OBJ_LIMIT_FLAGS, NFT_LIMIT_F_INV);
  nlmsghdr* message = add_nft(batch, NFT_MSG_NEWOBJ, NFPROTO_INET, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, {"add the limit", name});
  nftnl_obj_nlmsg_build_payload(message, object.get());
}

void put_delete_limit(Batch& batch, const std::string& name) {
  nlmsghdr* message = add_nft(batch, NFT_MSG_DELOBJ, NFPROTO_INET, NLM_F_ACK, {"delete the limit", name});
  mnl_attr_put_strz(message, NFTA_OBJ_TABLE, kTable);
  mnl_attr_put_strz(message, NFTA_OBJ_NAME, name.c_str());
  mnl_attr_put_u32(message, NFTA_OBJ_TYPE, htonl(NFT_OBJECT_LIMIT));
}

Result<std::vector<Element>> read_set(Socket& nft, const SetShape& set) {
  Batch batch;
  nlmsghdr* message = add_nft(batch, NFT_MSG_GETSETELEM, set.family, NLM_F_DUMP, {"read the set", set.name});
  mnl_attr_put_strz(message, NFTA_SET_ELEM_LIST_TABLE, kTable);
  mnl_attr_put_strz(message, NFTA_SET_ELEM_LIST_SET, set.name);
  std::vector<Element> elements;
  const Status read = nft.dump(batch, [&] { elements.clear(); }, [&](const Reply& reply) -> Status {
    if (reply.type != (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWSETELEM)) return {};
    Result<std::vector<Element>> some = decode_elements(reply.body);
    if (!some) return forward(std::move(some.error()));
    elements.insert(elements.end(), std::make_move_iterator(some->begin()), std::make_move_iterator(some->end()));
    return {};
  });
  if (!read && read.error().code != Errc::kNotFound) return forward(read.error());
  if (!read) elements.clear();
  return elements;
}

Status put_remove_all(Batch& batch, Socket& nft, std::span<const SetShape* const> sets, const Names& interfaces) {
  std::vector<std::string> limits;
  for (const SetShape* set : sets) {
    const Result<std::vector<Element>> elements = read_set(nft, *set);
    if (!elements) return forward(elements.error());
    for (const Element& element : *elements) {
      if (!interfaces.contains(interface_of(element))) continue;
      put_remove(batch, *set, element);
      if (!element.object.empty()) limits.push_back(element.object);
    }
  }
  for (const std::string& limit : limits) put_delete_limit(batch, limit);
  return {};
}

std::string_view interface_of(const Element& element) {
  return read_text(Bytes(element.key).first(std::min<std::size_t>(element.key.size(), kNamePart)));
}

}  // namespace mvm::net
