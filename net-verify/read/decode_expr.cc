#include "net-verify/read/decode_expr.h"

#include <linux/netfilter/nf_tables.h>

#include "net-verify/read/attribute_reader.h"

namespace mvm::verify {
namespace {

// By name; what is not here is kUnknown.
struct NamedKind {
  const char* name;
  ExprKind kind;
};
constexpr NamedKind kKinds[] = {
    {"immediate", ExprKind::kImmediate}, {"cmp", ExprKind::kCompare},       {"range", ExprKind::kRange},
    {"bitwise", ExprKind::kBitwise},     {"byteorder", ExprKind::kByteorder}, {"lookup", ExprKind::kLookup},
    {"payload", ExprKind::kPayload},     {"meta", ExprKind::kMeta},         {"ct", ExprKind::kConntrack},
    {"counter", ExprKind::kHarmless},    {"log", ExprKind::kHarmless},      {"last", ExprKind::kHarmless},
    {"notrack", ExprKind::kHarmless},    {"limit", ExprKind::kMayBreak},    {"quota", ExprKind::kMayBreak},
    {"connlimit", ExprKind::kMayBreak},  {"dynset", ExprKind::kMayBreak},   {"objref", ExprKind::kMayBreak},
    {"fib", ExprKind::kLoadUnknown},     {"hash", ExprKind::kLoadUnknown},  {"numgen", ExprKind::kLoadUnknown},
    {"rt", ExprKind::kLoadUnknown},      {"socket", ExprKind::kLoadUnknown}, {"exthdr", ExprKind::kLoadUnknown},
    {"tunnel", ExprKind::kLoadUnknown},  {"xfrm", ExprKind::kLoadUnknown},  {"osf", ExprKind::kLoadUnknown},
    {"reject", ExprKind::kReject},       {"masq", ExprKind::kSourceNat},    {"redir", ExprKind::kRedirect},
};

ExprKind kind_of(const std::string& name) {
  for (const NamedKind& one : kKinds)
    if (name == one.name) return one.kind;
  return ExprKind::kUnknown;
}

Status read_immediate(Expr& expr, std::uint16_t type, Bytes value) {
  if (type == NFTA_IMMEDIATE_DREG) expr.destination = big32(value);
  if (type != NFTA_IMMEDIATE_DATA) return {};
  return each(value, "NFTA_IMMEDIATE_DATA", [&](std::uint16_t what, Bytes data) -> Status {
    if (what == NFTA_DATA_VALUE) expr.data.assign(data.begin(), data.end());
    if (what != NFTA_DATA_VERDICT) return {};
    Result<Verdict> verdict = decode_verdict(data);
    if (!verdict) return forward(std::move(verdict.error()));
    expr.verdict = std::move(*verdict);
    return {};
  });
}

Status read_compare(Expr& expr, std::uint16_t type, Bytes value) {
  if (type == NFTA_CMP_SREG) expr.source = big32(value);
  if (type == NFTA_CMP_OP) {
    if (big32(value) > NFT_CMP_GTE) return malformed("NFTA_CMP_OP");
    expr.op = static_cast<CompareOp>(big32(value));
  }
  return type == NFTA_CMP_DATA ? decode_value(value, expr.data) : Status{};
}

Status read_range(Expr& expr, std::uint16_t type, Bytes value) {
  if (type == NFTA_RANGE_SREG) expr.source = big32(value);
  if (type == NFTA_RANGE_OP) expr.op = big32(value) == NFT_RANGE_EQ ? CompareOp::kEqual : CompareOp::kNotEqual;
  if (type == NFTA_RANGE_FROM_DATA) return decode_value(value, expr.data);
  return type == NFTA_RANGE_TO_DATA ? decode_value(value, expr.data_end) : Status{};
}

Status read_bitwise(Expr& expr, std::uint16_t type, Bytes value) {
  switch (type) {
    case NFTA_BITWISE_SREG: expr.source = big32(value); break;
    case NFTA_BITWISE_DREG: expr.destination = big32(value); break;
    case NFTA_BITWISE_LEN: expr.length = big32(value); break;
    case NFTA_BITWISE_OP: expr.op = big32(value) == NFT_BITWISE_MASK_XOR ? CompareOp::kEqual : CompareOp::kNotEqual; break;
    case NFTA_BITWISE_MASK: return decode_value(value, expr.data);
    case NFTA_BITWISE_XOR: return decode_value(value, expr.data_end);
    default: break;
  }
  return {};
}

Status read_byteorder(Expr& expr, std::uint16_t type, Bytes value) {
  switch (type) {
    case NFTA_BYTEORDER_SREG: expr.source = big32(value); break;
    case NFTA_BYTEORDER_DREG: expr.destination = big32(value); break;
    case NFTA_BYTEORDER_LEN: expr.length = big32(value); break;
    case NFTA_BYTEORDER_SIZE: expr.size = big32(value); break;
    default: break;
  }
  return {};
}

Status read_lookup(Expr& expr, std::uint16_t type, Bytes value) {
  switch (type) {
    case NFTA_LOOKUP_SREG: expr.source = big32(value); break;
    case NFTA_LOOKUP_DREG: expr.destination = big32(value); break;
    case NFTA_LOOKUP_SET: expr.set = clean(value); break;
    case NFTA_LOOKUP_FLAGS: expr.invert = (big32(value) & NFT_LOOKUP_F_INV) != 0; break;
    default: break;
  }
  return {};
}

Status read_payload(Expr& expr, std::uint16_t type, Bytes value) {
  switch (type) {
    case NFTA_PAYLOAD_DREG: expr.destination = big32(value); break;
    case NFTA_PAYLOAD_SREG: expr.source = big32(value); expr.writes = true; break;
    case NFTA_PAYLOAD_BASE: expr.base = big32(value); break;
    case NFTA_PAYLOAD_OFFSET: expr.offset = big32(value); break;
    case NFTA_PAYLOAD_LEN: expr.length = big32(value); break;
    default: break;
  }
  return {};
}

// Of meta and ct alike: key, destination, source.
template <std::uint16_t kKey, std::uint16_t kDestination, std::uint16_t kSource>
Status read_keyed(Expr& expr, std::uint16_t type, Bytes value) {
  if (type == kKey) expr.key = big32(value);
  if (type == kDestination) expr.destination = big32(value);
  if (type == kSource) {
    expr.source = big32(value);
    expr.writes = true;
  }
  return {};
}

Status read_nat(Expr& expr, std::uint16_t type, Bytes value) {
  switch (type) {
    case NFTA_NAT_TYPE: expr.kind = big32(value) == NFT_NAT_DNAT ? ExprKind::kDestinationNat : ExprKind::kSourceNat; break;
    case NFTA_NAT_REG_ADDR_MIN: expr.source = big32(value); break;
    case NFTA_NAT_REG_ADDR_MAX: expr.destination = big32(value); break;
    default: break;
  }
  return {};
}

using Reader = Status (*)(Expr&, std::uint16_t, Bytes);

Reader reader_of(const Expr& expr) {
  switch (expr.kind) {
    case ExprKind::kImmediate: return read_immediate;
    case ExprKind::kCompare: return read_compare;
    case ExprKind::kRange: return read_range;
    case ExprKind::kBitwise: return read_bitwise;
    case ExprKind::kByteorder: return read_byteorder;
    case ExprKind::kLookup: return read_lookup;
    case ExprKind::kPayload: return read_payload;
    case ExprKind::kMeta: return read_keyed<NFTA_META_KEY, NFTA_META_DREG, NFTA_META_SREG>;
    case ExprKind::kConntrack: return read_keyed<NFTA_CT_KEY, NFTA_CT_DREG, NFTA_CT_SREG>;
    default: return expr.name == "nat" ? read_nat : nullptr;
  }
}

}  // namespace

Status decode_value(Bytes bytes, Data& data) {
  return each(bytes, "NFTA_DATA_VALUE", [&](std::uint16_t type, Bytes value) -> Status {
    if (type == NFTA_DATA_VALUE) data.assign(value.begin(), value.end());
    return {};
  });
}

Result<Verdict> decode_verdict(Bytes bytes) {
  Verdict verdict;
  const Status read = each(bytes, "NFTA_DATA_VERDICT", [&](std::uint16_t type, Bytes value) -> Status {
    if (type == NFTA_VERDICT_CODE) verdict.code = static_cast<std::int32_t>(big32(value));
    if (type == NFTA_VERDICT_CHAIN) verdict.chain = clean(value);
    return {};
  });
  if (!read) return forward(read.error());
  return verdict;
}

Result<Expr> decode_expr(Bytes bytes) {
  Expr expr;
  Bytes data;
  Status read = each(bytes, "NFTA_LIST_ELEM of a rule", [&](std::uint16_t type, Bytes value) -> Status {
    if (type == NFTA_EXPR_NAME) expr.name = clean(value);
    if (type == NFTA_EXPR_DATA) data = value;
    return {};
  });
  if (!read) return forward(read.error());
  expr.kind = kind_of(expr.name);
  const Reader reader = reader_of(expr);
  if (reader == nullptr) return expr;
  read = each(data, "NFTA_EXPR_DATA", [&](std::uint16_t type, Bytes value) { return reader(expr, type, value); });
  if (!read) return forward(read.error());
  // An exthdr that writes (TCP options) and the like have no reader: they stay what their name makes them.
  return expr;
}

}  // namespace mvm::verify
