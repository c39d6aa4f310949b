// Who signs what is sealed here: an Ed25519 key whose 32 bytes come as a credential. The node's policy names its public half in a `sealer`
// line. Owns the key, in OpenSSL's secure heap. Proven by: tests/vault/round_test.cc.
#pragma once

#include <openssl/evp.h>

#include <memory>
#include <string_view>

#include "base/error.h"
#include "base/owned.h"
#include "base/secret.h"
#include "sealing/envelope.h"

namespace mvm::vault {

class Signer {
 public:
  // kMalformed where it is not 32 bytes. use_secure_heap() has been called.
  [[nodiscard]] static Result<Signer> of(const Secret& raw);
  [[nodiscard]] const sealing::PublicKey& public_key() const { return public_key_; }
  [[nodiscard]] Result<sealing::Signature> sign(std::string_view bytes) const;

 private:
  using Key = Owned<EVP_PKEY, &EVP_PKEY_free>;
  Signer(Key key, const sealing::PublicKey& public_key) : key_(std::move(key)), public_key_(public_key) {}
  Key key_;
  sealing::PublicKey public_key_{};
};

}  // namespace mvm::vault
