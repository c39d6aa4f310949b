// What nftables does to packets at a hook: every base chain there, in order, rule by rule and expression by expression.
// An over-approximation: a packet that the kernel lets through is in the answer. What is in the answer and has no doubt, the
// kernel lets through, for some choice of what the sender chooses. Pure.
// Follows the kernel's net/netfilter/nf_tables_core.c, nft_{cmp,range,bitwise,byteorder,lookup,payload,meta,ct}.c.
// Proven by: tests/net-verify/differential_test.cc (against a slow evaluator of single packets), work_test.cc.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "net-verify/model/snapshot.h"
#include "net-verify/walk/packets.h"
#include "net-verify/walk/work.h"

namespace mvm::verify {

// Boxes that may be on their way at once; above it they are taken for one box around them all, with a doubt.
inline constexpr std::size_t kMaxBoxes = 4096;
// Up to this many boxes are compared with each other for what can be joined.
inline constexpr std::size_t kMaxMerged = 512;
inline constexpr int kMaxJumps = 16;  // NFT_JUMP_STACK_SIZE

// Where packets are: the hook, and the links that a rule may ask about.
struct Place {
  std::uint8_t protocol = 0;  // NFPROTO_*: of the hook, as `meta nfproto` says it
  std::uint32_t hook = 0;
  const Link* in = nullptr;
  const Link* out = nullptr;
  const Link* in_bridge = nullptr;   // masters of those, where the hook is a bridge's
  const Link* out_bridge = nullptr;
  bool any_out = false;  // by which link they leave is not known: whatever a rule asks of it may be so or not
};

class Evaluator {
 public:
  // What has cost more than `most` steps ends with an answer that is worth nothing, and cannot_tell() says so.
  explicit Evaluator(const Snapshot& snapshot, std::uint64_t most = kMaxWork);

  // The packets that are still there behind the hook.
  [[nodiscard]] std::vector<Packets> run(const Place& place, std::vector<Packets> packets);
  // Whether any chain translates addresses.
  [[nodiscard]] bool translates() const { return translates_; }
  // What was met on a path and is not modelled: the answer is then worth nothing.
  // With whose path it lies on (about()); nobody's: it concerns the whole question.
  [[nodiscard]] const std::map<std::string, std::set<std::uint16_t>>& cannot_tell() const { return cannot_tell_; }
  void cannot_tell(const std::string& why);
  // What was told since is not: what was asked is asked again, more closely.
  void take_back(std::map<std::string, std::set<std::uint16_t>> to) { cannot_tell_ = std::move(to); }
  // Whose packets are followed from here on.
  void about(std::uint16_t net) { about_ = net; }
  [[nodiscard]] Work& work() { return work_; }
  // Whether the work is spent; cannot_tell() then has it.
  [[nodiscard]] bool given_up();

 private:
  friend class RuleRun;
  struct Ended {
    std::vector<Packets> accepted;  // by a verdict: the base chain is done with them
    std::vector<Packets> passed;    // on to whoever called the chain
  };
  [[nodiscard]] Ended run_chain(const Chain& chain, const Place& place, std::vector<Packets> packets, int depth);
  [[nodiscard]] std::vector<Packets> run_base(const Chain& chain, const Place& place, std::vector<Packets> packets);
  [[nodiscard]] std::vector<const Chain*> chains_at(const Place& place) const;
  [[nodiscard]] const Set* set(const Chain& chain, const std::string& name) const;
  void bound(std::vector<Packets>& packets);
  void check_hooks(const Place& place);

  using Key = std::tuple<std::uint8_t, std::string, std::string>;
  const Snapshot& snapshot_;
  std::map<Key, const Chain*> chains_;
  std::map<Key, const Set*> sets_;
  std::vector<const Chain*> bases_;  // by priority
  std::map<std::string, std::set<std::uint16_t>> cannot_tell_;
  std::optional<std::uint16_t> about_;
  Work work_;
  bool translates_ = false;
};

}  // namespace mvm::verify
