// Who signs what is sealed here: an Ed25519 key whose 32 bytes come as a credential. The node's policy names its public half in a `sealer`
// line. Owns the key, in secret memory; OpenSSL has it for the length of a signature, and never between two.
// Proven by: tests/vault/round_test.cc, tests/sandbox/vault_ablation_test.cc.
#pragma once

#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/secret.h"
#include "sealing/envelope.h"

namespace mvm::vault {

class Signer {
 public:
  // kMalformed where it is not 32 bytes.
  [[nodiscard]] static Result<Signer> of(Secret raw);
  [[nodiscard]] const sealing::PublicKey& public_key() const { return public_key_; }
  [[nodiscard]] Result<sealing::Signature> sign(std::string_view bytes) const;

 private:
  Signer(Secret raw, const sealing::PublicKey& public_key) : raw_(std::move(raw)), public_key_(public_key) {}
  Secret raw_;
  sealing::PublicKey public_key_{};
};

}  // namespace mvm::vault
