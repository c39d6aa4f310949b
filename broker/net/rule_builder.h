// One nftables rule, built expression by expression, in the order in which the kernel runs them. Owns the libnftnl object
// until it is put in a batch. Registers hold 4 bytes each, counted from 0; a key of several parts lies in a row of them.
// Pure. Proven by: tests/net/emitted_test.cc, tests/net/packets_test.cc.
#pragma once

#include <libnftnl/rule.h>

#include <array>
#include <cstdint>

#include "base/owned.h"
#include "broker/net/batch.h"

namespace mvm::net {

enum class Header : std::uint8_t { kLink, kNetwork, kTransport };  // of the packet
enum class Match : std::uint8_t { kEqual, kNotEqual };

struct PayloadPart {
  Header header;
  std::uint32_t offset;  // bytes
  std::uint32_t length;
};

class RuleBuilder {
 public:
  // `comment` is shown by nft behind the rule.
  RuleBuilder(std::uint8_t family, const char* chain, const char* comment);

  RuleBuilder& meta(std::uint32_t key, unsigned reg = 0);  // NFT_META_*
  RuleBuilder& payload(PayloadPart part, unsigned reg = 0);
  RuleBuilder& ct_state(std::uint32_t any_of);  // bits of NF_CT_STATE_BIT; goes on where one is set
  RuleBuilder& ct_unconfirmed();                 // goes on with the first packet of a connection
  RuleBuilder& mask(Bytes bits);  // of register 0
  RuleBuilder& compare(Match match, Bytes value);  // register 0; goes on where it holds
  RuleBuilder& compare_u32(Match match, std::uint32_t value);  // host order
  RuleBuilder& compare_u8(Match match, std::uint8_t value);
  RuleBuilder& in_set(const char* set, unsigned reg = 0);  // goes on where the key is in it
  RuleBuilder& verdict_of(const char* map);                // the map's verdict, if it has one for the key
  RuleBuilder& limit_of(const char* map);                  // goes on where the key has a limit and is over it
  // Counts the packet's connection for the key in register 0; goes on where the key has more than that many.
  RuleBuilder& more_connections_than(std::uint32_t most, const char* set);
  RuleBuilder& masquerade();
  RuleBuilder& verdict(std::uint32_t code, const char* chain = nullptr);  // NF_DROP, NF_ACCEPT, NFT_GOTO, ...

  // Appends the rule to its chain.
  void put(Batch& batch);

 private:
  void add(nftnl_expr* expression);

  std::uint8_t family_;
  const char* comment_;
  Owned<nftnl_rule, &nftnl_rule_free> rule_;
};

}  // namespace mvm::net
