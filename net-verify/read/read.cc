#include "net-verify/read/read.h"

#include <linux/fib_rules.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <cstring>

#include "net-verify/read/attribute_reader.h"
#include "net-verify/read/decode.h"
#include "net-verify/read/dump.h"
#include "net-verify/read/hooks.h"
#include "net-verify/read/settings.h"

namespace mvm::verify {
namespace {

template <class T>
net::Bytes bytes_of(const T& value) {
  return {reinterpret_cast<const std::uint8_t*>(&value), sizeof value};
}

constexpr std::uint16_t nft(int what) { return static_cast<std::uint16_t>(NFNL_SUBSYS_NFTABLES << 8 | what); }

class Network {
 public:
  Network(Reader route, Reader nft) : route_(std::move(route)), nft_(std::move(nft)) {}

  Result<Snapshot> read() {
    Status done = links();
    if (done) done = addresses();
    if (done) done = routes();
    if (done) done = rules();
    if (done) done = tables();
    if (!done) return forward(std::move(done.error()));
    qdiscs();
    read_settings(made_);
    read_programs(made_);
    read_other_filters(made_);
    read_hooks(nft_, made_);
    return std::move(made_);
  }

 private:
  // One kind of rtnetlink's, each message decoded and taken.
  template <class Header, class Decode, class Take>
  Status list(std::uint16_t get, std::uint16_t is, const Header& header, const char* what, const std::function<void()>& restart, Decode decode, Take take) {
    return route_.dump(get, bytes_of(header), what, restart, [&](std::uint16_t type, net::Bytes body) -> Status {
      if (type != is) return {};
      auto decoded = decode(body);
      if (!decoded) return forward(std::move(decoded.error()));
      take(std::move(*decoded));
      return {};
    });
  }

  Status links() {
    return list(RTM_GETLINK, RTM_NEWLINK, ifinfomsg{}, "links", [&] { made_.links.clear(); }, decode_link,
                [&](Link link) { made_.links.push_back(std::move(link)); });
  }

  Status addresses() {
    return list(RTM_GETADDR, RTM_NEWADDR, ifaddrmsg{}, "addresses", [&] { made_.addresses.clear(); }, decode_address,
                [&](const Address& address) { made_.addresses.push_back(address); });
  }

  Status routes() {
    rtmsg all{};
    all.rtm_family = AF_INET;
    return list(RTM_GETROUTE, RTM_NEWROUTE, all, "routes", [&] { made_.routes.clear(); }, decode_route, [&](std::optional<Route> route) {
      if (route) made_.routes.push_back(std::move(*route));
    });
  }

  Status rules() {
    fib_rule_hdr all{};
    all.family = AF_INET;
    const Status read = list(RTM_GETRULE, RTM_NEWRULE, all, "routing rules", [&] { made_.rules.clear(); }, decode_rule,
                             [&](RoutingRule rule) { made_.rules.push_back(std::move(rule)); });
    std::ranges::stable_sort(made_.rules, {}, &RoutingRule::priority);
    return read;
  }

  void qdiscs() {
    const Status read = list(RTM_GETQDISC, RTM_NEWQDISC, tcmsg{}, "queueing disciplines", [] {}, decode_qdisc, [&](const Qdisc& qdisc) {
      if (qdisc.kind == "ingress" || qdisc.kind == "clsact") made_.programs[qdisc.link] = "tc " + qdisc.kind;
    });
    if (!read) made_.unread.push_back(read.error().message());
  }

  // All of nftables as it was at one generation.
  Status tables() {
    for (int i = 0; i < kReadTries; ++i) {
      const Result<std::uint32_t> before = generation();
      if (!before) return forward(before.error());
      if (Status read = read_tables(); !read) return read;
      const Result<std::uint32_t> after = generation();
      if (!after) return forward(after.error());
      if (*before == *after) return {};
    }
    return fail(Errc::kBusy, "read nftables", "it changes all the time");
  }

  Result<std::uint32_t> generation() {
    Result<std::uint32_t> number = 0U;
    const Status read = nft_.get(nft(NFT_MSG_GETGEN), bytes_of(nfgenmsg{AF_UNSPEC, NFNETLINK_V0, 0}), "the generation of nftables", [&](std::uint16_t, net::Bytes body) -> Status {
      number = decode_generation(body);
      return {};
    });
    if (!read) return forward(read.error());
    return number;
  }

  template <class Decode, class Take>
  Status list_nft(int get, int is, const char* what, const std::function<void()>& restart, Decode decode, Take take, std::uint8_t family = AF_UNSPEC,
                  net::Bytes attributes = {}) {
    const Sink sink = [&](std::uint16_t type, net::Bytes body) -> Status {
      if (type != nft(is)) return {};
      auto decoded = decode(body);
      if (!decoded) return forward(std::move(decoded.error()));
      take(std::move(*decoded));
      return {};
    };
    return nft_.dump(nft(get), bytes_of(nfgenmsg{family, NFNETLINK_V0, 0}), what, restart, sink, attributes);
  }

  Status read_tables() {
    Status read = list_nft(NFT_MSG_GETCHAIN, NFT_MSG_NEWCHAIN, "chains", [&] { made_.chains.clear(); }, decode_chain,
                           [&](Chain chain) { made_.chains.push_back(std::move(chain)); });
    std::vector<RuleOf> rules;
    if (read) read = list_nft(NFT_MSG_GETRULE, NFT_MSG_NEWRULE, "rules", [&] { rules.clear(); }, decode_nft_rule,
                              [&](RuleOf rule) { rules.push_back(std::move(rule)); });
    if (read) read = place(std::move(rules));
    if (read) read = list_nft(NFT_MSG_GETSET, NFT_MSG_NEWSET, "sets", [&] { made_.sets.clear(); }, decode_set,
                              [&](Set set) { made_.sets.push_back(std::move(set)); });
    for (Set& set : made_.sets)
      if (read) read = elements(set);
    if (read) read = list_nft(NFT_MSG_GETFLOWTABLE, NFT_MSG_NEWFLOWTABLE, "flow tables", [&] { made_.flow_tables.clear(); }, decode_flow_table,
                              [&](FlowTable table) { made_.flow_tables.push_back(std::move(table)); });
    return read;
  }

  Status place(std::vector<RuleOf> rules) {
    std::map<std::tuple<std::uint8_t, std::string, std::string>, Chain*> chains;
    for (Chain& chain : made_.chains) chains[{chain.family, chain.table, chain.name}] = &chain;
    for (RuleOf& rule : rules) {
      const auto chain = chains.find({rule.family, rule.table, rule.chain});
      // One that came in between: the generation has changed, and all is read again.
      if (chain != chains.end()) chain->second->rules.push_back(std::move(rule.rule));
    }
    return {};
  }

  Status elements(Set& set) {
    alignas(nlmsghdr) char buffer[1024] = {};
    nlmsghdr* message = mnl_nlmsg_put_header(buffer);
    mnl_attr_put_strz(message, NFTA_SET_ELEM_LIST_TABLE, set.table.c_str());
    mnl_attr_put_strz(message, NFTA_SET_ELEM_LIST_SET, set.name.c_str());
    const net::Bytes names(static_cast<const std::uint8_t*>(mnl_nlmsg_get_payload(message)), mnl_nlmsg_get_payload_len(message));
    return list_nft(NFT_MSG_GETSETELEM, NFT_MSG_NEWSETELEM, "elements of a set", [&] { set.elements.clear(); }, decode_set_elements,
                    [&](ElementsOf some) { std::ranges::move(some.elements, std::back_inserter(set.elements)); }, set.family, names);
  }

  Reader route_, nft_;
  Snapshot made_;
};

}  // namespace

Result<Snapshot> read_network() {
  Result<Reader> route = Reader::open(NETLINK_ROUTE);
  if (!route) return forward(std::move(route.error()));
  Result<Reader> filters = Reader::open(NETLINK_NETFILTER);
  if (!filters) return forward(std::move(filters.error()));
  Result<Snapshot> made = Network(std::move(*route), std::move(*filters)).read();
  if (!made) return made;
  // Without a VRF the rule for them does nothing.
  if (std::ranges::none_of(made->links, [](const Link& link) { return link.kind == "vrf"; }))
    std::erase_if(made->rules, [](const RoutingRule& rule) { return rule.action == RuleAction::kOther && rule.priority == 1000; });
  return made;
}

}  // namespace mvm::verify
