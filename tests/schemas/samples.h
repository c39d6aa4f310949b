// Statements that tests of messages use: one of every primitive, each within its bounds.
#pragma once

#include <vector>

#include "policy-lang/manifest.h"
#include "policy-lang/statement.h"

namespace mvm::test {

inline Digest digest_of(std::uint8_t fill) {
  Digest digest;
  digest.bytes.fill(fill);
  return digest;
}

inline lang::Manifest some_manifest() { return {*FlakeRef::from("github:acme/images/4f2c#worker"), digest_of(4), {digest_of(5), 4096}, {digest_of(6), 2}}; }

inline Subject acme() { return tenant_subject(*Name::from("acme")); }
inline Subject instance(std::uint32_t id = 0xa3f7b2c1) {
  return instance_subject(*Name::from("acme"), *Name::from("workers"), InstanceId{id});
}

inline lang::Statement make(lang::Sign sign, lang::Word word, const Subject& subject, std::vector<std::uint64_t> numbers,
                            std::vector<Digest> digests = {}, std::string_view key_tenant = {}) {
  lang::Statement statement;
  statement.sign = sign;
  statement.word = word;
  statement.subject = subject;
  for (std::size_t i = 0; i < numbers.size(); ++i) statement.numbers[i] = numbers[i];
  for (std::size_t i = 0; i < digests.size(); ++i) statement.digests[i] = digests[i];
  if (!key_tenant.empty()) statement.key_tenant = *Name::from(key_tenant);
  return statement;
}

// 10.240.3.0/24
inline constexpr Subnet kAcmeSubnet{0x0af00300, 24};
inline constexpr Subnet kCidr{0x0af00000, 12};

inline std::vector<lang::Statement> one_of_each(lang::Sign sign) {
  using enum lang::Word;
  return {
      make(sign, kBridge, acme(), {3, kAcmeSubnet.packed()}),
      make(sign, kRule, acme(), {lang::kEgressNat, 0, 0, 0}),
      make(sign, kCgroup, instance(), {200, 1152, 64, 0}),
      make(sign, kVolume, instance(), {2048, 1}, {}, "acme"),
      make(sign, kLuksOpen, instance(), {1}, {}, "acme"),
      make(sign, kSecrets, instance(), {1}, {digest_of(7)}),
      make(sign, kConfig, instance(), {1}, {digest_of(8)}),
      make(sign, kTap, instance(), {5}),
      make(sign, kJail, instance(), {1, 2, 1024, lang::kBootSnapshot, lang::kRunning, lang::kParked}, {digest_of(1), digest_of(2)}),
      make(sign, kSnapshot, instance(), {lang::kDiff, 1, 1, 1, 5, 9}, {digest_of(3)}, "acme"),
      make(sign, kBase, pool_subject(instance().tenant, instance().pool), {1, 1, 1024, 1}, {digest_of(4), digest_of(1)}, "acme"),
  };
}

}  // namespace mvm::test
