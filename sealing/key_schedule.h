// The derivations of RFC 9180, sections 4 and 5.1, for the one suite of sealing/hpke.h. For hpke.cc alone, and its test.
#pragma once

#include "sealing/hpke.h"

namespace mvm::hpke {

inline constexpr std::size_t kKeyBytes = 32, kNonceBytes = 12;

// The context of one message: key (32 bytes), then nonce (12).
struct Context {
  Secret secret;
  [[nodiscard]] Bytes key() const { return secret.bytes().first(kKeyBytes); }
  [[nodiscard]] Bytes nonce() const { return secret.bytes().subspan(kKeyBytes, kNonceBytes); }
};

// From what is left of Encap() and Decap(), X25519 of `own` and `peer`, to the context. kMalformed where the result of X25519 is zero.
[[nodiscard]] Result<Context> derive(const SecretArena& arena, const Key& own, const PublicKey& peer, const PublicKey& enc,
                                     const PublicKey& recipient, Bytes info);

}  // namespace mvm::hpke
