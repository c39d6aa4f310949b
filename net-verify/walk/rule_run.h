// One rule on one lot of packets: expressions in order, each of which may cut the lot, fill registers, and end it. Pure.
// Proven by: tests/net-verify/differential_test.cc, work_test.cc.
#pragma once

#include <array>
#include <span>
#include <vector>

#include "net-verify/space/match.h"
#include "net-verify/walk/evaluate.h"

namespace mvm::verify {

inline constexpr std::size_t kRegisterBytes = 64;  // NFT_REG32_COUNT * 4

// Where a register begins (nft_parse_register: NFT_REG_1.. are 16 bytes, NFT_REG32_00.. are 4); nothing where there is none.
[[nodiscard]] std::optional<std::size_t> register_at(std::uint32_t number);

struct Lot {
  Packets packets;
  std::array<Byte, kRegisterBytes> registers{};
};

struct Decided {
  Packets packets;
  Verdict verdict;
};

// What became of the packets that went into the rule.
struct RuleResult {
  std::vector<Decided> decided;
  std::vector<Packets> on;  // to the next rule
};

class RuleRun {
 public:
  RuleRun(Evaluator& evaluator, const Chain& chain, const Rule& rule, const Place& place)
      : evaluator_(evaluator), chain_(chain), rule_(rule), place_(place) {}
  [[nodiscard]] RuleResult run(const Packets& packets);

 private:
  void expression(const Expr& expr, const Lot& lot);
  void immediate(const Expr& expr, Lot lot);
  void condition(const Lot& lot, const Condition& met, bool wanted);
  void compare(const Expr& expr, const Lot& lot);
  void range(const Expr& expr, const Lot& lot);
  void lookup(const Expr& expr, const Lot& lot);
  void bitwise(const Expr& expr, Lot lot);
  void byteorder(const Expr& expr, Lot lot);
  void payload(const Expr& expr, const Lot& lot);
  void link_layer(const Expr& expr, Lot lot);
  void network(const Expr& expr, Lot lot);
  void transport(const Expr& expr, Lot lot);
  void meta(const Expr& expr, const Lot& lot);
  void set_meta(const Expr& expr, Lot lot);
  void conntrack(const Expr& expr, Lot lot);
  void translate(const Expr& expr, const Lot& lot);
  void found(const Expr& expr, const Lot& lot, const Element& element);

  void load(Lot lot, std::uint32_t destination, std::vector<Byte> bytes);
  void load_fields(Lot lot, const Expr& expr, std::span<const Byte> header);
  // The register's bytes; nothing (and the answer is lost) where there is no such register.
  [[nodiscard]] std::span<const Byte> read(const Lot& lot, std::uint32_t number, std::size_t length);
  void go_on(Lot lot) {
    evaluator_.work().spend(1);
    next_.push_back(std::move(lot));
  }
  void miss(Packets packets) {
    evaluator_.work().spend(1);
    result_.on.push_back(std::move(packets));
  }
  void decide(const Lot& lot, Verdict verdict) { result_.decided.push_back({lot.packets, std::move(verdict)}); }
  void lost(const std::string& why);

  Evaluator& evaluator_;
  const Chain& chain_;
  const Rule& rule_;
  const Place& place_;
  std::vector<Lot> next_;
  RuleResult result_;
};

}  // namespace mvm::verify
