// Follows what each tap can send through the host as it was read, and tells what arrives where it must not: a tap or bridge of
// another tenant, the host itself, other nodes' tenants, the outside for a tenant that has no egress, or anything with an address
// that is not the tap's own. Pure.
// The way of a packet: netdev ingress; of a bridge's port bridge prerouting, then forward, or input and its bridge's ingress;
// prerouting; routing; input, or forward and postrouting; egress (kernel: net/core/dev.c, net/bridge/br_input.c, net/ipv4/ip_input.c).
// Proven by: tests/net-verify/verify_kernel_test.cc.
#pragma once

#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "net-verify/model/expected.h"
#include "net-verify/report.h"
#include "net-verify/walk/evaluate.h"
#include "net-verify/walk/routing.h"

namespace mvm::verify {

// Links that packets may come in by, one behind the other.
inline constexpr std::size_t kMaxHops = 8;

class Walker {
 public:
  Walker(const Snapshot& snapshot, const Expected& expected, std::uint64_t most = kMaxWork);
  void run(Report& report);

 private:
  struct Source {
    std::uint16_t net = 0;
    std::set<std::uint32_t> entered;  // links, against loops
  };
  void from_tap(const Link& tap, std::uint16_t net);
  void enter(const Link& in, std::vector<Packets> packets, Source& source);
  void bridge(const Link& in, const Link& bridge, std::vector<Packets> packets, Source& source);
  void to_ports(const Link& in, const Link& bridge, const std::vector<Packets>& packets, Source& source);
  void reserved(const Link& in, const Link& bridge, const std::vector<Packets>& packets, Source& source);
  void lift(const Link& in, const Link& bridge, const std::vector<Packets>& packets, Source& source);
  [[nodiscard]] std::vector<Packets> above(const Link& in, const Link& bridge, std::vector<Packets> packets);
  void host_stack(const Link& in, std::vector<Packets> packets, Source& source);
  // Whether anything of these may be left behind a hook: true too where that can only be told of each by itself.
  [[nodiscard]] bool may_pass(const Place& place, const std::vector<Packets>& packets);
  void ipv4(const Link& in, const std::vector<Packets>& packets, Source& source);
  void ipv6(const Link& in, const std::vector<Packets>& packets, Source& source);
  void deliver(const Link& in, std::uint8_t protocol, Packets packets, Source& source);
  void forward(const Link& in, const Link& out, std::uint8_t protocol, Packets packets, Source& source);
  void leave(const Link& out, const std::vector<Packets>& packets, Source& source);
  void outside(const Link& out, const Packets& packets, const Source& source);
  void check_own(const Link& tap, const std::vector<Packets>& packets);
  void pending();
  void settle(const Link& in, std::uint16_t net, std::uint64_t type);

  void tell(const char* check, std::vector<std::uint16_t> nets, const std::string& where, const std::string& what, const Packets& packets);
  [[nodiscard]] std::optional<std::uint16_t> tenant_of(const Link& link) const;
  [[nodiscard]] const Link* bridge_of(const Link& link) const;

  const Snapshot& snapshot_;
  const Expected& expected_;
  Evaluator evaluator_;
  Routing routing_;
  std::map<std::uint32_t, std::vector<const Link*>> ports_;  // by bridge
  // What waits to enter the host's own stack by a link, of one tenant: all taps of a bridge at once.
  struct Held {
    const Link* in;
    const Link* bridge;
    std::vector<Packets> packets;  // as they are before the bridge's input
  };
  struct Waits {
    std::vector<Packets> packets;  // as they come out of it
    std::vector<Packets> around;   // the same of what is held, but in one box for each tap
    std::vector<Held> held;
  };
  std::map<std::pair<std::uint32_t, std::uint16_t>, Waits> waiting_;
  bool collecting_ = true;
  std::map<std::tuple<std::string, std::vector<std::uint16_t>, std::string>, Finding> found_;
  std::size_t untold_ = 0;
};

// The fields of a box that are not just anything, as people read them.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> describe(const Box& box);

}  // namespace mvm::verify
