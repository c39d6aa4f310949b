// nf_tables: chains, rules and their expressions, sets and their elements, flow tables.
// Before linux/netfilter.h, whose linux/in.h gives way to it but not the other way round.
#include <netinet/in.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "net-verify/read/attribute_reader.h"
#include "net-verify/read/decode_expr.h"

namespace mvm::verify {
namespace {

static_assert(sizeof(nfgenmsg) == 4);

constexpr std::uint8_t kCommentType = 0;  // NFTNL_UDATA_RULE_COMMENT

Status read_devices(Bytes list, std::vector<std::string>& devices) {
  return each(list, "NFTA_HOOK_DEVS", [&](std::uint16_t, Bytes value) -> Status {
    devices.push_back(clean(value));
    return {};
  });
}

Status read_hook(Bytes bytes, Hook& hook) {
  return each(bytes, "NFTA_CHAIN_HOOK", [&](std::uint16_t type, Bytes value) -> Status {
    switch (type) {
      case NFTA_HOOK_HOOKNUM: hook.number = big32(value); break;
      case NFTA_HOOK_PRIORITY: hook.priority = static_cast<std::int32_t>(big32(value)); break;
      case NFTA_HOOK_DEV: hook.devices.push_back(clean(value)); break;
      case NFTA_HOOK_DEVS: return read_devices(value, hook.devices);
      default: break;
    }
    return {};
  });
}

// nft's own notes: type, length, bytes.
std::string comment_in(Bytes notes) {
  while (notes.size() >= 2) {
    const std::size_t length = notes[1];
    if (notes.size() < 2 + length) return {};
    if (notes[0] == kCommentType) return clean(notes.subspan(2, length));
    notes = notes.subspan(2 + length);
  }
  return {};
}

Result<std::uint8_t> family_of(Bytes body) {
  const auto header = net::read_value<nfgenmsg>(body);
  if (!header) return malformed("nfgenmsg");
  return header->nfgen_family;
}

Status read_data(Bytes bytes, Element& element) {
  return each(bytes, "NFTA_SET_ELEM_DATA", [&](std::uint16_t type, Bytes value) -> Status {
    if (type == NFTA_DATA_VALUE) element.data.assign(value.begin(), value.end());
    if (type != NFTA_DATA_VERDICT) return {};
    Result<Verdict> verdict = decode_verdict(value);
    if (!verdict) return forward(std::move(verdict.error()));
    element.verdict = std::move(*verdict);
    return {};
  });
}

Result<Element> read_element(Bytes bytes) {
  Element element;
  const Status read = each(bytes, "NFTA_LIST_ELEM", [&](std::uint16_t type, Bytes value) -> Status {
    switch (type) {
      case NFTA_SET_ELEM_KEY: return decode_value(value, element.key);
      case NFTA_SET_ELEM_KEY_END: return decode_value(value, element.key_end);
      case NFTA_SET_ELEM_DATA: return read_data(value, element);
      case NFTA_SET_ELEM_FLAGS:
        element.interval_end = (big32(value) & NFT_SET_ELEM_INTERVAL_END) != 0;
        element.catch_all = (big32(value) & NFT_SET_ELEM_CATCHALL) != 0;
        break;
      default: break;
    }
    return {};
  });
  if (!read) return forward(read.error());
  return element;
}

// NFTA_SET_DESC: the lengths of the parts of a key.
Status read_parts(Bytes description, Set& set) {
  return each(description, "NFTA_SET_DESC", [&](std::uint16_t type, Bytes value) -> Status {
    if (type != NFTA_SET_DESC_CONCAT) return {};
    return each(value, "NFTA_SET_DESC_CONCAT", [&](std::uint16_t, Bytes part) -> Status {
      return each(part, "NFTA_SET_FIELD", [&](std::uint16_t field, Bytes length) -> Status {
        if (field == NFTA_SET_FIELD_LEN) set.parts.push_back(big32(length));
        return {};
      });
    });
  });
}

}  // namespace

Result<Chain> decode_chain(Bytes body) {
  const auto family = family_of(body);
  if (!family) return forward(family.error());
  Chain chain;
  chain.family = *family;
  Hook hook;
  bool hooked = false;
  const Status read = each(body.subspan(sizeof(nfgenmsg)), "NFT_MSG_NEWCHAIN", [&](std::uint16_t type, Bytes value) -> Status {
    switch (type) {
      case NFTA_CHAIN_TABLE: chain.table = clean(value); break;
      case NFTA_CHAIN_NAME: chain.name = clean(value); break;
      case NFTA_CHAIN_POLICY: hook.accept = big32(value) == NF_ACCEPT; break;
      case NFTA_CHAIN_TYPE: hook.type = clean(value); break;
      case NFTA_CHAIN_HOOK: hooked = true; return read_hook(value, hook);
      default: break;
    }
    return {};
  });
  if (!read) return forward(read.error());
  if (hooked) chain.hook = std::move(hook);
  return chain;
}

Result<RuleOf> decode_nft_rule(Bytes body) {
  const auto family = family_of(body);
  if (!family) return forward(family.error());
  RuleOf made{*family, {}, {}, {}};
  const Status read = each(body.subspan(sizeof(nfgenmsg)), "NFT_MSG_NEWRULE", [&](std::uint16_t type, Bytes value) -> Status {
    switch (type) {
      case NFTA_RULE_TABLE: made.table = clean(value); break;
      case NFTA_RULE_CHAIN: made.chain = clean(value); break;
      case NFTA_RULE_HANDLE: made.rule.handle = big64(value); break;
      case NFTA_RULE_USERDATA: made.rule.comment = comment_in(value); break;
      case NFTA_RULE_EXPRESSIONS:
        return each(value, "NFTA_RULE_EXPRESSIONS", [&](std::uint16_t, Bytes one) -> Status {
          Result<Expr> expr = decode_expr(one);
          if (!expr) return forward(std::move(expr.error()));
          made.rule.exprs.push_back(std::move(*expr));
          return {};
        });
      default: break;
    }
    return {};
  });
  if (!read) return forward(read.error());
  return made;
}

Result<Set> decode_set(Bytes body) {
  const auto family = family_of(body);
  if (!family) return forward(family.error());
  Set set;
  set.family = *family;
  const Status read = each(body.subspan(sizeof(nfgenmsg)), "NFT_MSG_NEWSET", [&](std::uint16_t type, Bytes value) -> Status {
    switch (type) {
      case NFTA_SET_TABLE: set.table = clean(value); break;
      case NFTA_SET_NAME: set.name = clean(value); break;
      case NFTA_SET_FLAGS: set.flags = big32(value); break;
      case NFTA_SET_KEY_LEN: set.key_length = big32(value); break;
      case NFTA_SET_DESC: return read_parts(value, set);
      default: break;
    }
    return {};
  });
  if (!read) return forward(read.error());
  return set;
}

Result<ElementsOf> decode_set_elements(Bytes body) {
  const auto family = family_of(body);
  if (!family) return forward(family.error());
  ElementsOf made{*family, {}, {}, {}};
  const Status read = each(body.subspan(sizeof(nfgenmsg)), "NFT_MSG_NEWSETELEM", [&](std::uint16_t type, Bytes value) -> Status {
    switch (type) {
      case NFTA_SET_ELEM_LIST_TABLE: made.table = clean(value); break;
      case NFTA_SET_ELEM_LIST_SET: made.set = clean(value); break;
      case NFTA_SET_ELEM_LIST_ELEMENTS:
        return each(value, "NFTA_SET_ELEM_LIST_ELEMENTS", [&](std::uint16_t, Bytes one) -> Status {
          Result<Element> element = read_element(one);
          if (!element) return forward(std::move(element.error()));
          made.elements.push_back(std::move(*element));
          return {};
        });
      default: break;
    }
    return {};
  });
  if (!read) return forward(read.error());
  return made;
}

Result<FlowTable> decode_flow_table(Bytes body) {
  const auto family = family_of(body);
  if (!family) return forward(family.error());
  FlowTable table;
  const Status read = each(body.subspan(sizeof(nfgenmsg)), "NFT_MSG_NEWFLOWTABLE", [&](std::uint16_t type, Bytes value) -> Status {
    if (type == NFTA_FLOWTABLE_NAME) table.name = clean(value);
    if (type != NFTA_FLOWTABLE_HOOK) return {};
    return each(value, "NFTA_FLOWTABLE_HOOK", [&](std::uint16_t hook, Bytes devices) -> Status {
      return hook == NFTA_FLOWTABLE_HOOK_DEVS ? read_devices(devices, table.devices) : Status{};
    });
  });
  if (!read) return forward(read.error());
  return table;
}

Result<std::uint32_t> decode_generation(Bytes body) {
  const auto family = family_of(body);
  if (!family) return forward(family.error());
  std::uint32_t generation = 0;
  const Status read = each(body.subspan(sizeof(nfgenmsg)), "NFT_MSG_NEWGEN", [&](std::uint16_t type, Bytes value) -> Status {
    if (type == NFTA_GEN_ID) generation = big32(value);
    return {};
  });
  if (!read) return forward(read.error());
  return generation;
}

}  // namespace mvm::verify
