#include "net-verify/check/structure.h"

#include <algorithm>
#include <array>

#include "base/derived.h"
#include "policy-lang/link_name.h"

namespace mvm::verify {
namespace {

constexpr std::uint32_t kUp = 1;  // IFF_UP
constexpr std::uint32_t kGatewaySlot = 1;

class Structure {
 public:
  Structure(const Snapshot& snapshot, const Expected& expected, Report& report)
      : snapshot_(snapshot), expected_(expected), report_(report) {}

  void run() {
    for (const auto& [net, tenant] : expected_.tenants) {
      bridge(tenant);
      for (const std::uint32_t slot : tenant.slots) tap(tenant, slot);
      subnet(tenant);
    }
    for (const Link& link : snapshot_.links) {
      unexpected(link);
      port(link);
      stacked(link);
      settings(link);
      programs(link);
    }
    for (const FlowTable& table : snapshot_.flow_tables)
      for (const std::string& device : table.devices)
        if (const auto named = lang::read_link_name(device)) unsure({named->net}, "flow table " + table.name + " takes packets of " + device + " past the rules");
    for (const std::string& why : snapshot_.unread) unsure({}, "not read: " + why);
  }

 private:
  void tell(const char* check, std::vector<std::uint16_t> nets, std::string what) {
    if (report_.findings.size() < kMaxFindings) report_.findings.push_back({check, std::move(nets), std::move(what), {}, {}, {}});
    else ++report_.untold;
  }

  void unsure(std::vector<std::uint16_t> nets, std::string what) { report_.cannot_tell.push_back({std::move(nets), std::move(what)}); }

  void bridge(const Tenant& tenant) {
    const std::string name = bridge_name(tenant.net);
    const Link* link = snapshot_.link(name);
    const auto wrong = [&](const std::string& what) { tell("bridge", {tenant.net}, name + " " + what); };
    if (link == nullptr) return wrong("is not there");
    if (link->kind != "bridge") return wrong("is no bridge");
    if ((link->flags & kUp) == 0) wrong("is down");
    if (link->mac != instance_mac(tenant.net, kGatewaySlot)) wrong("has the MAC " + mac_to_string(link->mac));
    if (link->stp) wrong("speaks the spanning tree protocol");
    if (link->vlan_filtering) wrong("filters VLANs");
    if (link->master != 0) wrong("is itself a port of " + link_name(link->master));
    std::size_t gateways = 0;
    for (const Address& address : snapshot_.addresses) {
      if (address.link != link->index) continue;
      const bool gateway = !address.ipv6 && address.ipv4 == gateway_address(tenant.subnet) && address.prefix == tenant.subnet.prefix;
      if (gateway) ++gateways;
      else tell("address", {tenant.net}, name + " has an address that is not its gateway's: " + text(address));
    }
    if (gateways == 0) tell("address", {tenant.net}, name + " lacks its gateway's address");
  }

  void tap(const Tenant& tenant, std::uint32_t slot) {
    const std::string name = tap_name(tenant.net, slot);
    const Link* link = snapshot_.link(name);
    const auto wrong = [&](const std::string& what) { tell("tap", {tenant.net}, name + " " + what); };
    if (link == nullptr) return wrong("is not there");
    if (link->kind != "tun") return wrong("is no tap");
    if ((link->flags & kUp) == 0) wrong("is down");
    if (link_name(link->master) != bridge_name(tenant.net))
      wrong(link->master == 0 ? "is on no bridge" : "is on " + link_name(link->master) + ", which is not its tenant's bridge");
    for (const Address& address : snapshot_.addresses)
      if (address.link == link->index) tell("address", {tenant.net}, name + " has an address: " + text(address));
  }

  // No other link has a part of the subnet, by address or by route.
  void subnet(const Tenant& tenant) {
    const std::string name = bridge_name(tenant.net);
    const auto inside = [&](std::uint32_t base, std::uint8_t prefix) { return tenant.subnet.contains({base, prefix}); };
    for (const Address& address : snapshot_.addresses)
      if (!address.ipv6 && link_name(address.link) != name && inside(address.ipv4, 32))
        tell("subnet", {tenant.net}, link_name(address.link) + " has " + text(address) + ", which is in the subnet of " + name);
    for (const Route& route : snapshot_.routes) {
      if (!inside(route.base, route.prefix)) continue;
      const bool dead_end = route.type == RouteType::kDrop || route.type == RouteType::kThrow;
      const bool own = std::ranges::all_of(route.links, [&](std::uint32_t link) { return link_name(link) == name; });
      if (!dead_end && (!own || route.links.empty()))
        tell("subnet", {tenant.net}, "table " + std::to_string(route.table) + " routes " + to_string(Subnet{route.base, route.prefix}) + ", which is in the subnet of " + name + ", elsewhere");
    }
  }

  // A link with a name of ours that the state does not know.
  void unexpected(const Link& link) {
    const auto named = lang::read_link_name(link.name);
    if (!named) return;
    const Tenant* tenant = expected_.tenant(named->net);
    const bool known = tenant != nullptr && (named->slot ? tenant->slots.contains(*named->slot) : tenant->has_bridge);
    if (!known) tell("unknown", {named->net}, link.name + " is not in the state");
  }

  void port(const Link& link) {
    const Link* master = link.master == 0 ? nullptr : snapshot_.link(link.master);
    const auto bridge = master == nullptr ? std::nullopt : lang::read_link_name(master->name);
    if (!bridge || bridge->slot) return;
    const auto named = lang::read_link_name(link.name);
    if (!named || !named->slot) return tell("port", {bridge->net}, link.name + (link.kind.empty() ? "" : " (" + link.kind + ")") + " is a port of " + master->name + " and no tap of its tenant's");
    if (named->net != bridge->net) tell("port", {bridge->net, named->net}, link.name + " is a port of " + master->name + ", another tenant's bridge");
  }

  // A VLAN, macvlan or veth on a link of ours takes its packets past the rules.
  void stacked(const Link& link) {
    if (link.lower == 0 || link.lower_elsewhere) return;
    const std::string below = link_name(link.lower);
    const auto named = lang::read_link_name(below);
    if (named) tell("stacked", {named->net}, link.name + " (" + link.kind + ") is stacked on " + below);
  }

  struct Wanted {
    const char* name;
    std::int64_t least, most;
    const char* what;
    enum class Of : std::uint8_t { kAll, kBridges } of = Of::kAll;
  };

  void settings(const Link& link) {
    static constexpr std::array<Wanted, 9> kWanted = {{
        {"accept_redirects", 0, 0, "takes redirects"},
        {"send_redirects", 0, 0, "sends redirects", Wanted::Of::kBridges},
        {"accept_source_route", 0, 0, "takes source routes"},
        {"proxy_arp", 0, 0, "answers ARP for others"},
        {"proxy_arp_pvlan", 0, 0, "answers ARP for others on its own link"},
        {"accept_local", 0, 0, "takes packets from the host's own addresses"},
        {"route_localnet", 0, 0, "routes loopback addresses"},
        {"rp_filter", 1, 1, "does not check the reverse path"},
        {"arp_ignore", 1, 8, "answers ARP for addresses of other links"},
    }};
    const auto named = lang::read_link_name(link.name);
    if (!named) return;
    const bool tap = named->slot.has_value();
    for (const Wanted& wanted : kWanted) {
      if (wanted.of == Wanted::Of::kBridges && tap) continue;
      const auto value = effective(link.name, wanted.name);
      if (!value) {
        unsure({named->net}, "not read: net.ipv4.conf." + link.name + "." + wanted.name);
      } else if (*value < wanted.least || *value > wanted.most) {
        tell("setting", {named->net}, link.name + " " + wanted.what + ": " + wanted.name + " is " + std::to_string(*value));
      }
    }
  }

  // What counts is the link's value together with that of "all" (include/linux/inetdevice.h).
  [[nodiscard]] std::optional<std::int64_t> effective(const std::string& link, const std::string& name) const {
    const auto settings = snapshot_.settings.find(link), all = snapshot_.settings.find("all");
    if (settings == snapshot_.settings.end() || all == snapshot_.settings.end()) return std::nullopt;
    const auto own = settings->second.get(name), common = all->second.get(name);
    if (!own || !common) return own;
    if (name == "send_redirects") return own;  // of "all" it is the host's choice: a redirect opens nothing
    if (name == "rp_filter" || name == "arp_ignore") return std::max(*own, *common);  // IN_DEV_MAXCONF
    if (name == "accept_source_route") return std::min(*own, *common);                 // IN_DEV_ANDCONF
    if (name == "proxy_arp" || name == "route_localnet" || name == "accept_local") return std::max(*own, *common);  // IN_DEV_ORCONF
    if (name != "accept_redirects") return own;
    // Of a link that forwards both must say yes, of another either.
    const auto forwards = settings->second.get("forwarding");
    return forwards && *forwards != 0 ? std::min(*own, *common) : std::max(*own, *common);
  }

  void programs(const Link& link) {
    const auto named = lang::read_link_name(link.name);
    if (!named) return;
    if (link.xdp) unsure({named->net}, "an XDP program is attached to " + link.name);
    if (const auto found = snapshot_.programs.find(link.index); found != snapshot_.programs.end())
      unsure({named->net}, found->second + " is attached to " + link.name);
  }

  [[nodiscard]] std::string link_name(std::uint32_t index) const {
    const Link* link = snapshot_.link(index);
    return link == nullptr ? std::string() : link->name;
  }

  static std::string text(const Address& address) {
    return (address.ipv6 ? "IPv6" : ipv4_to_string(address.ipv4)) + "/" + std::to_string(address.prefix);
  }

  const Snapshot& snapshot_;
  const Expected& expected_;
  Report& report_;
};

}  // namespace

void check_structure(const Snapshot& snapshot, const Expected& expected, Report& report) { Structure(snapshot, expected, report).run(); }

}  // namespace mvm::verify
