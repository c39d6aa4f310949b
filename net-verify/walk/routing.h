// Where IPv4 packets go: the rules of `ip rule`, and the tables that they name. An over-approximation, as evaluate.h is: the
// reverse path is not checked, and a route whose link is down may be there or not. Pure.
// Follows the kernel's net/core/fib_rules.c, net/ipv4/fib_trie.c (longest prefix, then tos, then metric).
// Proven by: tests/net-verify/routing_test.cc.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "net-verify/walk/evaluate.h"

namespace mvm::verify {

enum class Fate : std::uint8_t { kHost, kForward };

struct Routed {
  Fate fate = Fate::kHost;
  const Link* out = nullptr;  // of kForward
  Packets packets;
};

class Routing {
 public:
  explicit Routing(const Snapshot& snapshot);
  // Those that are not dropped: no route, a dead end, an address that may not come in.
  [[nodiscard]] std::vector<Routed> route(const Link& in, const Packets& packets, Evaluator& evaluator) const;

 private:
  struct Segment {
    Interval addresses;
    std::vector<const Route*> candidates;  // best first
  };
  using Table = std::vector<Segment>;  // ascending, disjoint
  struct Way {
    const Link& in;
    Evaluator& evaluator;
    std::vector<Routed> routed;
  };
  [[nodiscard]] static Table compile(std::vector<const Route*> routes);
  [[nodiscard]] static std::vector<Box> asked_by(const RoutingRule& rule, const std::string& label, Way& way);
  void follow(std::size_t from, Packets packets, int jumps, Way& way) const;
  // What the table has no answer for.
  [[nodiscard]] std::vector<Packets> look_up(const RoutingRule& rule, const Packets& packets, Way& way) const;
  [[nodiscard]] bool may_go(const Link& link) const;  // whether its routes can be passed over
  [[nodiscard]] bool take(const Route& route, const Packets& packets, Way& way) const;

  const Snapshot& snapshot_;
  std::map<std::uint32_t, Table> tables_;
};

}  // namespace mvm::verify
