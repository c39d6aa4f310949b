#include "tests/net-verify/concrete.h"

#include <linux/netfilter/nf_tables.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace mvm::verify::test {
namespace {

using Frame = std::vector<std::uint8_t>;

void put(Frame& frame, std::uint64_t value, unsigned bytes) {
  while (bytes-- > 0) frame.push_back(static_cast<std::uint8_t>(value >> 8 * bytes));
}

struct Laid {
  Frame link, network, transport;
};

Laid lay(const Packet& p) {
  Laid laid;
  put(laid.link, p.of(Field::kTargetMac), 6);
  put(laid.link, p.of(Field::kSourceMac), 6);
  if (p.of(Field::kTag) != 0) put(laid.link, (p.of(Field::kTag) == 1 ? 0x8100U : 0x88a8U) << 16, 4);
  put(laid.link, p.of(Field::kType), 2);
  if (p.of(Field::kType) == 0x0800) {
    put(laid.network, 0x4500'0000'0000, 6);
    put(laid.network, p.of(Field::kFragment), 2);
    put(laid.network, 64, 1);
    put(laid.network, p.of(Field::kProtocol), 1);
    put(laid.network, 0, 2);
    put(laid.network, p.of(Field::kSource), 4);
    put(laid.network, p.of(Field::kTarget), 4);
    if ((p.of(Field::kFragment) & 0x1fff) == 0) {
      put(laid.transport, p.of(Field::kSourcePort), 2);
      put(laid.transport, p.of(Field::kTargetPort), 2);
    }
  } else if (p.of(Field::kType) == 0x0806) {
    put(laid.network, p.of(Field::kArpHead), 6);
    put(laid.network, p.of(Field::kArpOperation), 2);
    put(laid.network, p.of(Field::kArpSourceMac), 6);
    put(laid.network, p.of(Field::kArpSource), 4);
    put(laid.network, p.of(Field::kArpTargetMac), 6);
    put(laid.network, p.of(Field::kArpTarget), 4);
  } else {
    laid.network.assign(40, 0);
  }
  return laid;
}

class Machine {
 public:
  Machine(const Snapshot& snapshot, const Place& place, const Packet& packet) : snapshot_(snapshot), place_(place), packet_(packet), laid_(lay(packet)) {}

  // The verdict of a chain: 0 (NF_DROP), 1 (NF_ACCEPT), or NFT_RETURN at its end.
  int chain(const Chain& chain) {
    for (const Rule& rule : chain.rules) {
      verdict_ = NFT_CONTINUE;
      registers_.fill(0);
      for (const Expr& expr : rule.exprs)
        if (!run(chain, expr) || verdict_ != NFT_CONTINUE) break;
      if (verdict_ == 0 || verdict_ == 1 || verdict_ == NFT_RETURN) return verdict_;
      if (verdict_ != NFT_JUMP && verdict_ != NFT_GOTO) continue;
      const bool jump = verdict_ == NFT_JUMP;
      const int below = this->chain(*find(chain, target_));
      if (below != NFT_RETURN) return below;
      if (!jump) return NFT_RETURN;
    }
    return NFT_RETURN;
  }

 private:
  const Chain* find(const Chain& from, const std::string& name) const {
    for (const Chain& one : snapshot_.chains)
      if (one.family == from.family && one.table == from.table && one.name == name) return &one;
    return nullptr;
  }

  std::uint8_t* reg(std::uint32_t number) { return registers_.data() + (number - NFT_REG32_00) * 4; }

  void store(std::uint32_t number, const Frame& bytes) {
    std::memset(reg(number), 0, (bytes.size() + 3) / 4 * 4);
    std::memcpy(reg(number), bytes.data(), bytes.size());
  }

  void decide(const Verdict& verdict) {
    verdict_ = verdict.code;
    target_ = verdict.chain;
  }

  // False: the rule breaks off.
  bool run(const Chain& chain, const Expr& e) {
    switch (e.kind) {
      case ExprKind::kImmediate:
        if (e.verdict) decide(*e.verdict);
        else store(e.destination, e.data);
        return true;
      case ExprKind::kCompare: return compare(e);
      case ExprKind::kRange: {
        const bool in = std::memcmp(reg(e.source), e.data.data(), e.data.size()) >= 0 && std::memcmp(reg(e.source), e.data_end.data(), e.data.size()) <= 0;
        return in == (e.op == CompareOp::kEqual);
      }
      case ExprKind::kBitwise: {
        Frame made(e.length);
        for (std::uint32_t i = 0; i < e.length; ++i) made[i] = static_cast<std::uint8_t>((reg(e.source)[i] & e.data[i]) ^ e.data_end[i]);
        store(e.destination, made);
        return true;
      }
      case ExprKind::kLookup: return lookup(chain, e);
      case ExprKind::kPayload: return payload(e);
      case ExprKind::kMeta: return meta(e);
      case ExprKind::kConntrack: {
        constexpr std::uint8_t kBits[] = {1, 2, 4, 8, 64};
        store(e.destination, {kBits[packet_.of(Field::kState)], 0, 0, 0});
        return true;
      }
      default: return true;
    }
  }

  bool compare(const Expr& e) {
    const int order = std::memcmp(reg(e.source), e.data.data(), e.data.size());
    switch (e.op) {
      case CompareOp::kEqual: return order == 0;
      case CompareOp::kNotEqual: return order != 0;
      case CompareOp::kLess: return order < 0;
      case CompareOp::kLessOrEqual: return order <= 0;
      case CompareOp::kGreater: return order > 0;
      case CompareOp::kGreaterOrEqual: return order >= 0;
    }
    return false;
  }

  bool lookup(const Chain& chain, const Expr& e) {
    const Set* set = nullptr;
    for (const Set& one : snapshot_.sets)
      if (one.family == chain.family && one.table == chain.table && one.name == e.set) set = &one;
    const Element* hit = nullptr;
    const Data key(reg(e.source), reg(e.source) + set->key_length);
    const bool ranges = (set->flags & NFT_SET_INTERVAL) != 0;
    // The start nearest below the key, unless an end lies between.
    const Element* nearest = nullptr;
    for (const Element& one : set->elements) {
      if (!ranges && one.key == key) hit = &one;
      if (ranges && one.key <= key && (nearest == nullptr || one.key > nearest->key || (one.key == nearest->key && nearest->interval_end))) nearest = &one;
    }
    if (nearest != nullptr && !nearest->interval_end) hit = nearest;
    if (e.invert) return hit == nullptr;
    if (hit == nullptr) return false;
    if (hit->verdict) decide(*hit->verdict);
    return true;
  }

  bool payload(const Expr& e) {
    const Frame& from = e.base == NFT_PAYLOAD_LL_HEADER ? laid_.link : e.base == NFT_PAYLOAD_NETWORK_HEADER ? laid_.network : laid_.transport;
    if (std::size_t{e.offset} + e.length > from.size()) return false;
    store(e.destination, Frame(from.begin() + e.offset, from.begin() + e.offset + e.length));
    return true;
  }

  bool meta(const Expr& e) {
    Frame value;
    switch (e.key) {
      case NFT_META_PROTOCOL: put(value, packet_.of(Field::kType), 2); break;
      case NFT_META_L4PROTO:
        if (packet_.of(Field::kType) != 0x0800) return false;
        put(value, packet_.of(Field::kProtocol), 1);
        break;
      case NFT_META_IIFNAME:
        value.assign(place_.in->name.begin(), place_.in->name.end());
        value.resize(16);
        break;
      default: return false;
    }
    store(e.destination, value);
    return true;
  }

  const Snapshot& snapshot_;
  const Place& place_;
  const Packet& packet_;
  Laid laid_;
  std::array<std::uint8_t, 64> registers_{};
  int verdict_ = NFT_CONTINUE;
  std::string target_;
};

}  // namespace

bool passes(const Snapshot& snapshot, const Place& place, const Packet& packet) {
  std::vector<const Chain*> bases;
  for (const Chain& chain : snapshot.chains)
    if (chain.hook && chain.family == place.protocol && chain.hook->number == place.hook) bases.push_back(&chain);
  std::ranges::stable_sort(bases, {}, [](const Chain* chain) { return chain->hook->priority; });
  for (const Chain* chain : bases) {
    const int verdict = Machine(snapshot, place, packet).chain(*chain);
    if (verdict == 0 || (verdict != 1 && !chain->hook->accept)) return false;
  }
  return true;
}

}  // namespace mvm::verify::test
