#include "broker/net/links.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/neighbour.h>
#include <linux/netconf.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include <cerrno>
#include <cstdlib>
#include <utility>

namespace mvm::net {
namespace {

static_assert(kLinkGroup != 0, "0 is the group of links that nobody put in one");

template <class Header>
Header* extra(nlmsghdr* message) {
  return static_cast<Header*>(mnl_nlmsg_put_extra_header(message, sizeof(Header)));
}

// A change of the link of that name; `flags` are IFF_* to be set.
nlmsghdr* change_link(Batch& batch, const std::string& name, Label label, unsigned flags = 0) {
  nlmsghdr* message = batch.add(RTM_NEWLINK, NLM_F_ACK, std::move(label));
  auto* info = extra<ifinfomsg>(message);
  info->ifi_flags = flags;
  info->ifi_change = flags;
  mnl_attr_put_strz(message, IFLA_IFNAME, name.c_str());
  return message;
}

struct DeviceSetting {
  std::uint16_t which;  // IPV4_DEVCONF_*
  std::uint32_t value;
};

// IFLA_AF_SPEC / AF_INET / IFLA_INET_CONF: the sysctls of net.ipv4.conf.<link>.
void put_ipv4_settings(nlmsghdr* message, std::span<const DeviceSetting> settings) {
  nlattr* families = mnl_attr_nest_start(message, IFLA_AF_SPEC);
  nlattr* inet = mnl_attr_nest_start(message, AF_INET);
  nlattr* conf = mnl_attr_nest_start(message, IFLA_INET_CONF);
  for (const DeviceSetting& setting : settings) mnl_attr_put_u32(message, setting.which, setting.value);
  mnl_attr_nest_end(message, conf);
  mnl_attr_nest_end(message, inet);
  mnl_attr_nest_end(message, families);
}

constexpr DeviceSetting kBridgeSettings[] = {
    {IPV4_DEVCONF_RP_FILTER, 1},          {IPV4_DEVCONF_ACCEPT_REDIRECTS, 0}, {IPV4_DEVCONF_SECURE_REDIRECTS, 0},
    {IPV4_DEVCONF_SEND_REDIRECTS, 0},     {IPV4_DEVCONF_ACCEPT_SOURCE_ROUTE, 0}, {IPV4_DEVCONF_PROXY_ARP, 0},
    {IPV4_DEVCONF_ARP_IGNORE, 1},         {IPV4_DEVCONF_ACCEPT_LOCAL, 0},     {IPV4_DEVCONF_ROUTE_LOCALNET, 0},
};
constexpr std::uint32_t kNeverAnswerArp = 8;  // Documentation/networking/ip-sysctl.rst, arp_ignore
constexpr DeviceSetting kPortSettings[] = {
    {IPV4_DEVCONF_ARP_IGNORE, kNeverAnswerArp}, {IPV4_DEVCONF_RP_FILTER, 1}, {IPV4_DEVCONF_PROXY_ARP, 0},
    {IPV4_DEVCONF_ACCEPT_REDIRECTS, 0}, {IPV4_DEVCONF_ACCEPT_SOURCE_ROUTE, 0}, {IPV4_DEVCONF_ROUTE_LOCALNET, 0},
};

// A request for links; statistics left out, they are most of an answer.
nlmsghdr* get_links(Batch& batch, std::uint16_t flags, const std::string& what) {
  nlmsghdr* message = batch.add(RTM_GETLINK, flags, {"read links", what});
  extra<ifinfomsg>(message);
  mnl_attr_put_u32(message, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
  return message;
}

Result<std::vector<Link>> dump_links(Socket& route, Batch& batch) {
  std::vector<Link> links;
  const Status read = route.dump(batch, [&] { links.clear(); }, [&](const Reply& reply) -> Status {
    if (reply.type != RTM_NEWLINK) return {};
    Result<Link> link = decode_link(reply.body);
    if (!link) return forward(std::move(link.error()));
    links.push_back(std::move(*link));
    return {};
  });
  if (!read) return forward(read.error());
  return links;
}

}  // namespace

void put_create_bridge(Batch& batch, const std::string& name, const Mac& mac) {
  nlmsghdr* message = batch.add(RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, {"create the bridge", name});
  extra<ifinfomsg>(message);
  mnl_attr_put_strz(message, IFLA_IFNAME, name.c_str());
  mnl_attr_put_u32(message, IFLA_GROUP, kLinkGroup);
  mnl_attr_put(message, IFLA_ADDRESS, mac.size(), mac.data());
  nlattr* info = mnl_attr_nest_start(message, IFLA_LINKINFO);
  mnl_attr_put_strz(message, IFLA_INFO_KIND, "bridge");
  nlattr* data = mnl_attr_nest_start(message, IFLA_INFO_DATA);
  mnl_attr_put_u32(message, IFLA_BR_STP_STATE, 0);
  mnl_attr_put_u8(message, IFLA_BR_MCAST_SNOOPING, 0);
  mnl_attr_put_u8(message, IFLA_BR_MCAST_QUERIER, 0);
  mnl_attr_nest_end(message, data);
  mnl_attr_nest_end(message, info);
}

void put_bridge_settings(Batch& batch, const std::string& name) {
  nlmsghdr* message = change_link(batch, name, {"set up the bridge", name});
  mnl_attr_put_u32(message, IFLA_GROUP, kLinkGroup);
  mnl_attr_put_strz(message, IFLA_IFALIAS, kLinkAlias);
  put_ipv4_settings(message, kBridgeSettings);
}

void put_port_settings(Batch& batch, const std::string& name, std::uint32_t master) {
  nlmsghdr* message = change_link(batch, name, {"put the tap on its bridge", name});
  mnl_attr_put_u32(message, IFLA_GROUP, kLinkGroup);
  mnl_attr_put_strz(message, IFLA_IFALIAS, kLinkAlias);
  mnl_attr_put_u32(message, IFLA_MASTER, master);
  put_ipv4_settings(message, kPortSettings);
}

void put_no_ipv6(Batch& batch, const std::string& name) {
  nlmsghdr* message = change_link(batch, name, {"turn IPv6 off", name});
  nlattr* families = mnl_attr_nest_start(message, IFLA_AF_SPEC);
  nlattr* inet6 = mnl_attr_nest_start(message, AF_INET6);
  mnl_attr_put_u8(message, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
  mnl_attr_nest_end(message, inet6);
  mnl_attr_nest_end(message, families);
}

void put_port_up(Batch& batch, const std::string& name) {
  nlmsghdr* message = change_link(batch, name, {"bring the tap up", name}, IFF_UP);
  nlattr* info = mnl_attr_nest_start(message, IFLA_LINKINFO);
  mnl_attr_put_strz(message, IFLA_INFO_SLAVE_KIND, "bridge");
  nlattr* data = mnl_attr_nest_start(message, IFLA_INFO_SLAVE_DATA);
  mnl_attr_put_u8(message, IFLA_BRPORT_LEARNING, 0);
  mnl_attr_put_u8(message, IFLA_BRPORT_UNICAST_FLOOD, 0);
  mnl_attr_put_u8(message, IFLA_BRPORT_GUARD, 1);
  mnl_attr_nest_end(message, data);
  mnl_attr_nest_end(message, info);
}

void put_up(Batch& batch, const std::string& name) { change_link(batch, name, {"bring the bridge up", name}, IFF_UP); }

void put_address(Batch& batch, std::uint32_t index, const std::string& name, std::uint32_t address, const Subnet& subnet) {
  nlmsghdr* message = batch.add(RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE,
                                {"give the bridge its address", name + " " + ipv4_to_string(address)});
  auto* header = extra<ifaddrmsg>(message);
  header->ifa_family = AF_INET;
  header->ifa_prefixlen = subnet.prefix;
  header->ifa_scope = RT_SCOPE_UNIVERSE;
  header->ifa_index = index;
  mnl_attr_put_u32(message, IFA_LOCAL, htonl(address));
  mnl_attr_put_u32(message, IFA_ADDRESS, htonl(address));
  mnl_attr_put_u32(message, IFA_BROADCAST, htonl(static_cast<std::uint32_t>(subnet.base + subnet.size() - 1)));
}

void put_forwarding_entry(Batch& batch, std::uint32_t port, const std::string& name, const Mac& mac) {
  nlmsghdr* message = batch.add(RTM_NEWNEIGH, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, {"fix the tap's MAC to its port", name});
  auto* header = extra<ndmsg>(message);
  header->ndm_family = AF_BRIDGE;
  header->ndm_ifindex = static_cast<int>(port);
  header->ndm_state = NUD_NOARP;  // static; NUD_PERMANENT would make it an address of the host's own
  header->ndm_flags = NTF_MASTER;
  mnl_attr_put(message, NDA_LLADDR, mac.size(), mac.data());
}

void put_delete(Batch& batch, std::uint32_t index, const std::string& name) {
  nlmsghdr* message = batch.add(RTM_DELLINK, NLM_F_ACK, {"delete the link", name});
  extra<ifinfomsg>(message)->ifi_index = static_cast<int>(index);
}

void put_leaving(Batch& batch, std::uint32_t index, const std::string& name) {
  // Index 0 would mean all links of the group that is named.
  if (index == 0) std::abort();
  nlmsghdr* message = batch.add(RTM_NEWLINK, NLM_F_ACK, {"take the link out of use", name});
  extra<ifinfomsg>(message)->ifi_index = static_cast<int>(index);
  mnl_attr_put_u32(message, IFLA_GROUP, kLeavingGroup);
}

void put_delete_leaving(Batch& batch) {
  nlmsghdr* message = batch.add(RTM_DELLINK, NLM_F_ACK, {"delete the links of the group", std::to_string(kLeavingGroup)});
  extra<ifinfomsg>(message);
  mnl_attr_put_u32(message, IFLA_GROUP, kLeavingGroup);
}

Result<std::vector<std::optional<Link>>> find_links(Socket& route, const std::vector<std::string>& names) {
  std::vector<std::optional<Link>> found(names.size());
  Batch batch;
  for (const std::string& name : names) mnl_attr_put_strz(get_links(batch, NLM_F_ACK, name), IFLA_IFNAME, name.c_str());
  Result<std::vector<Status>> read = route.run_each(batch, [&](std::size_t index, const Reply& reply) -> Status {
    if (reply.type != RTM_NEWLINK) return {};
    Result<Link> link = decode_link(reply.body);
    if (!link) return forward(std::move(link.error()));
    // An alternative name (IFLA_ALT_IFNAME) answers too; we make none, so such a link is somebody else's.
    found[index] = std::move(*link);
    return {};
  });
  if (!read) return forward(std::move(read.error()));
  for (std::size_t i = 0; i < names.size(); ++i) {
    Status& said = (*read)[i];
    if (!said && said.error().code != Errc::kNotFound) return forward(std::move(said.error()));
    if (!said) found[i].reset();
  }
  return found;
}

Result<std::optional<Link>> find_link(Socket& route, const std::string& name) {
  Result<std::vector<std::optional<Link>>> found = find_links(route, {name});
  if (!found) return forward(std::move(found.error()));
  return std::move(found->front());
}

Status turn_ipv6_off(Socket& route, const std::vector<std::string>& names) {
  Batch batch;
  for (const std::string& name : names) put_no_ipv6(batch, name);
  Result<std::vector<Status>> said = route.run_each(batch);
  if (!said) return forward(std::move(said.error()));
  for (Status& one : *said)
    if (!one && one.error().sys_errno != EAFNOSUPPORT) return std::move(one);
  return {};
}

Result<std::vector<Link>> links_of_kind(Socket& route, const char* kind) {
  Batch batch;
  nlmsghdr* message = get_links(batch, NLM_F_DUMP, kind);
  nlattr* info = mnl_attr_nest_start(message, IFLA_LINKINFO);
  mnl_attr_put_strz(message, IFLA_INFO_KIND, kind);
  mnl_attr_nest_end(message, info);
  Result<std::vector<Link>> links = dump_links(route, batch);
  // The kernel's filter is a help, not a promise: it is ignored where the kind's module is not loaded.
  if (links) std::erase_if(*links, [&](const Link& link) { return link.kind != kind; });
  return links;
}

Result<std::vector<Link>> ports_of(Socket& route, const Link& bridge) {
  Batch batch;
  mnl_attr_put_u32(get_links(batch, NLM_F_DUMP, "ports of " + bridge.name), IFLA_MASTER, bridge.index);
  Result<std::vector<Link>> links = dump_links(route, batch);
  if (links) std::erase_if(*links, [&](const Link& link) { return link.master != bridge.index; });
  return links;
}

namespace {

// What `decode` reads from the settings that hold for all links (net.ipv4.conf.all).
template <class T>
Result<T> read_ipv4_setting(Socket& route, const char* name, Result<T> (*decode)(Bytes)) {
  Batch batch;
  nlmsghdr* message = batch.add(RTM_GETNETCONF, NLM_F_ACK, {"read a setting of IPv4", name});
  extra<netconfmsg>(message)->ncm_family = AF_INET;
  mnl_attr_put_u32(message, NETCONFA_IFINDEX, static_cast<std::uint32_t>(NETCONFA_IFINDEX_ALL));
  Result<T> value = fail(Errc::kNotFound, "read a setting of IPv4", name);
  const Status read = route.run(batch, [&](const Reply& reply) -> Status {
    if (reply.type == RTM_NEWNETCONF) value = decode(reply.body);
    return {};
  });
  if (!read) return forward(read.error());
  return value;
}

}  // namespace

Result<bool> forwards_ipv4(Socket& route) { return read_ipv4_setting(route, "net.ipv4.ip_forward", decode_forwarding); }

Result<bool> loosens_reverse_path(Socket& route) {
  const Result<std::uint32_t> all = read_ipv4_setting(route, "net.ipv4.conf.all.rp_filter", decode_reverse_path);
  if (!all) return forward(all.error());
  return *all > 1;
}

}  // namespace mvm::net
