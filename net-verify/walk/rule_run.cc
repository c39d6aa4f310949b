#include "net-verify/walk/rule_run.h"

#include <linux/netfilter/nf_tables.h>

#include "net-verify/walk/set_lookup.h"

namespace mvm::verify {
namespace {

constexpr std::int32_t kAccept = 1, kDropped = 0, kContinue = -1;

}  // namespace

std::optional<std::size_t> register_at(std::uint32_t number) {
  if (number >= NFT_REG_1 && number <= NFT_REG_4) return (number - 1) * 16;
  if (number >= NFT_REG32_00 && number <= NFT_REG32_15) return (number - NFT_REG32_00) * 4;
  return std::nullopt;
}

void RuleRun::lost(const std::string& why) { evaluator_.cannot_tell(name_of(chain_, &rule_) + ": " + why); }

RuleResult RuleRun::run(const Packets& packets) {
  std::vector<Lot> lots = {Lot{packets, {}}};
  for (const Expr& expr : rule_.exprs) {
    next_.clear();
    for (const Lot& lot : lots) {
      if (evaluator_.given_up()) return {};
      evaluator_.work().spend(1);
      expression(expr, lot);
    }
    if (next_.size() > kMaxBoxes) {
      lost("it cuts the packets into too many kinds");
      for (const Lot& lot : lots) miss(lot.packets);
      next_.clear();
    }
    lots = std::move(next_);
    next_ = {};
  }
  for (Lot& lot : lots) miss(std::move(lot.packets));  // it ended without a verdict
  if (result_.decided.empty()) {
    const bool changed = std::ranges::any_of(rule_.exprs, [](const Expr& expr) { return expr.writes; });
    // No verdict for any of them: they go on as they came, not in pieces.
    if (!changed && !result_.on.empty()) result_.on = {packets};
  }
  return std::move(result_);
}

void RuleRun::expression(const Expr& expr, const Lot& lot) {
  switch (expr.kind) {
    case ExprKind::kImmediate: return immediate(expr, lot);
    case ExprKind::kCompare: return compare(expr, lot);
    case ExprKind::kRange: return range(expr, lot);
    case ExprKind::kBitwise: return bitwise(expr, lot);
    case ExprKind::kByteorder: return byteorder(expr, lot);
    case ExprKind::kLookup: return lookup(expr, lot);
    case ExprKind::kPayload: return payload(expr, lot);
    case ExprKind::kMeta: return expr.writes ? set_meta(expr, lot) : meta(expr, lot);
    case ExprKind::kConntrack: return conntrack(expr, lot);
    case ExprKind::kHarmless: return go_on(lot);
    case ExprKind::kMayBreak:
      miss(lot.packets);
      return go_on(lot);
    case ExprKind::kLoadUnknown: {
      Lot filled = lot;
      filled.registers.fill({});
      miss(lot.packets.doubted(name_of(chain_, &rule_) + ": " + expr.name + " asks the host what is not modelled"));
      return go_on(filled);
    }
    case ExprKind::kReject: return decide(lot, {kDropped, {}});
    case ExprKind::kSourceNat: return decide(lot, {kAccept, {}});
    case ExprKind::kDestinationNat:
    case ExprKind::kRedirect: return translate(expr, lot);
    case ExprKind::kUnknown:
      lost("the expression \"" + expr.name + "\" is not modelled");
      miss(lot.packets);
      return go_on(lot);
  }
}

void RuleRun::immediate(const Expr& expr, Lot lot) {
  if (!expr.verdict) {
    std::vector<Byte> bytes;
    for (const std::uint8_t byte : expr.data) bytes.push_back(constant(byte));
    return load(std::move(lot), expr.destination, std::move(bytes));
  }
  if (expr.verdict->code == kContinue) return miss(lot.packets);
  decide(lot, *expr.verdict);
}

std::span<const Byte> RuleRun::read(const Lot& lot, std::uint32_t number, std::size_t length) {
  const auto at = register_at(number);
  if (!at || *at + length > kRegisterBytes) {
    lost("a register that there is not");
    return {};
  }
  return std::span(lot.registers).subspan(*at, length);
}

void RuleRun::load(Lot lot, std::uint32_t destination, std::vector<Byte> bytes) {
  while (bytes.size() % 4 != 0) bytes.push_back(constant(0));
  const auto at = register_at(destination);
  if (!at || *at + bytes.size() > kRegisterBytes) {
    lost("a register that there is not");
    return miss(lot.packets);
  }
  std::ranges::copy(bytes, lot.registers.begin() + static_cast<std::ptrdiff_t>(*at));
  go_on(std::move(lot));
}

// Those that meet the condition go on where that is wanted and are done with the rule where not; the others the other way.
void RuleRun::condition(const Lot& lot, const Condition& met, bool wanted) {
  const auto route = [&](Packets packets, bool to_next) {
    if (!to_next) return miss(std::move(packets));
    Lot kept = lot;
    kept.packets = std::move(packets);
    go_on(std::move(kept));
  };
  const std::string why = name_of(chain_, &rule_) + ": it asks what is not modelled";
  for (const Box& box : met.holds) {
    Packets packets = lot.packets.in(box);
    if (met.certainty == Certainty::kUnknown) packets = packets.doubted(why);
    if (met.certainty != Certainty::kExact) route(packets, !wanted);
    route(std::move(packets), wanted);
  }
  const std::vector<Box> others = without(lot.packets.box, met.holds);
  evaluator_.work().spend_comparisons(met.holds.size() * others.size());
  for (const Box& box : others) route(lot.packets.in(box), !wanted);
}

void RuleRun::compare(const Expr& expr, const Lot& lot) {
  const auto bytes = read(lot, expr.source, expr.data.size());
  if (bytes.empty()) return miss(lot.packets);
  if (expr.op == CompareOp::kEqual || expr.op == CompareOp::kNotEqual)
    return condition(lot, equals(lot.packets.box, bytes, expr.data), expr.op == CompareOp::kEqual);
  const Data least(expr.data.size(), 0), most(expr.data.size(), 0xff);
  // x < c is not (x >= c).
  const bool from = expr.op == CompareOp::kLess || expr.op == CompareOp::kGreaterOrEqual;
  const Condition met = from ? between(lot.packets.box, bytes, expr.data, most) : between(lot.packets.box, bytes, least, expr.data);
  condition(lot, met, expr.op == CompareOp::kGreaterOrEqual || expr.op == CompareOp::kLessOrEqual);
}

void RuleRun::range(const Expr& expr, const Lot& lot) {
  const auto bytes = read(lot, expr.source, expr.data.size());
  if (bytes.empty() || expr.data.size() != expr.data_end.size()) return miss(lot.packets);
  condition(lot, between(lot.packets.box, bytes, expr.data, expr.data_end), expr.op == CompareOp::kEqual);
}

void RuleRun::found(const Expr& expr, const Lot& lot, const Element& element) {
  if (expr.destination == kVerdictRegister && element.verdict) {
    if (element.verdict->code == kContinue) return miss(lot.packets);
    return decide(lot, *element.verdict);
  }
  if (element.data.empty()) return go_on(lot);
  std::vector<Byte> bytes;
  for (const std::uint8_t byte : element.data) bytes.push_back(constant(byte));
  load(lot, expr.destination, std::move(bytes));
}

void RuleRun::lookup(const Expr& expr, const Lot& lot) {
  const Set* set = evaluator_.set(chain_, expr.set);
  if (set == nullptr) {
    lost("there is no set \"" + expr.set + "\"");
    miss(lot.packets);
    return go_on(lot);
  }
  const auto key = read(lot, expr.source, set->key_length);
  if (key.empty()) return miss(lot.packets);
  const bool changes = (set->flags & (NFT_SET_TIMEOUT | NFT_SET_EVAL)) != 0;
  const std::string why = "set " + set->name + " changes by itself";
  const std::string unmodelled = name_of(chain_, &rule_) + ": it asks what is not modelled";
  const Found all = find_in(*set, lot.packets.box, key, evaluator_.work());
  if (all.too_many) lost("its set cuts the packets into too many kinds");
  for (const Hit& hit : all.hits) {
    Lot kept = lot;
    kept.packets = lot.packets.in(hit.box);
    if (hit.certainty == Certainty::kUnknown) kept.packets = kept.packets.doubted(unmodelled);
    if (changes) kept.packets = kept.packets.doubted(why);
    if (expr.invert) miss(kept.packets);
    else found(expr, kept, *hit.element);
  }
  for (const Miss& missed : all.missed) {
    Lot kept = lot;
    kept.packets = lot.packets.in(missed.box);
    if (missed.certainty == Certainty::kUnknown) kept.packets = kept.packets.doubted(unmodelled);
    if (expr.invert) go_on(kept);
    else miss(kept.packets);
  }
  if (!changes) return;
  Lot other = lot;  // what is not in the set now may be, and the other way round
  other.packets = lot.packets.doubted(why);
  miss(other.packets);
  if (expr.destination != kVerdictRegister) other.registers.fill({});
  go_on(other);
}

void RuleRun::bitwise(const Expr& expr, Lot lot) {
  const auto bytes = read(lot, expr.source, expr.length);
  if (bytes.empty()) return miss(lot.packets);
  std::vector<Byte> made(bytes.begin(), bytes.end());
  const bool masks = expr.op == CompareOp::kEqual && expr.data.size() == expr.length && expr.data_end.size() == expr.length;
  for (std::size_t i = 0; i < made.size(); ++i) {
    if (!masks) {
      made[i] = {};  // a shift
      continue;
    }
    made[i].mask &= expr.data[i];
    made[i].value = static_cast<std::uint8_t>((made[i].value & expr.data[i]) ^ expr.data_end[i]);
    if (expr.data[i] == 0) made[i] = constant(expr.data_end[i]);
  }
  load(std::move(lot), expr.destination, std::move(made));
}

void RuleRun::byteorder(const Expr& expr, Lot lot) {
  const auto bytes = read(lot, expr.source, expr.length);
  if (bytes.empty() || expr.size == 0 || expr.length % expr.size != 0) return miss(lot.packets);
  std::vector<Byte> made(bytes.begin(), bytes.end());
  for (auto at = made.begin(); at != made.end(); at += expr.size) std::reverse(at, at + expr.size);
  load(std::move(lot), expr.destination, std::move(made));
}

void RuleRun::translate(const Expr& expr, const Lot& lot) {
  const std::string why = name_of(chain_, &rule_) + ": it gives packets another destination";
  Lot made = lot;
  std::span<const Byte> address;
  if (expr.kind == ExprKind::kDestinationNat && expr.source != 0) address = read(lot, expr.source, 4);
  const bool known = address.size() == 4 && (expr.destination == 0 || expr.destination == expr.source) &&
                     std::ranges::all_of(address, [](const Byte& byte) { return byte.kind == ByteKind::kConstant; });
  if (known) {
    std::uint64_t value = 0;
    for (const Byte& byte : address) value = value << 8 | byte.value;
    made.packets.box = made.packets.box.with(Field::kTarget, value);
  } else {
    made.packets = made.packets.in(made.packets.box.with(Field::kTarget, Interval{0, shape(Field::kTarget).most})).doubted(why);
  }
  made.packets.box = made.packets.box.with(Field::kTargetPort, Interval{0, shape(Field::kTargetPort).most});
  decide(made, {kAccept, {}});
}

}  // namespace mvm::verify
