#include "broker/supervisor/signature.h"

#include <openssl/evp.h>

#include <algorithm>

#include "base/known_signature.h"
#include "base/owned.h"

namespace mvm::supervisor {
namespace {

bool is_signed_by(const Digest& key, std::string_view message, const Signature& signature) {
  const Owned<EVP_PKEY, &EVP_PKEY_free> public_key(
      EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, key.bytes.data(), key.bytes.size()));
  const Owned<EVP_MD_CTX, &EVP_MD_CTX_free> context(EVP_MD_CTX_new());
  if (public_key == nullptr || context == nullptr) return false;
  if (EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, public_key.get()) != 1) return false;
  return EVP_DigestVerify(context.get(), signature.data(), signature.size(), reinterpret_cast<const unsigned char*>(message.data()),
                          message.size()) == 1;
}

}  // namespace

bool is_signed_by_one(std::span<const Digest> keys, std::string_view message, const Signature& signature) {
  return std::ranges::any_of(keys, [&](const Digest& key) { return is_signed_by(key, message, signature); });
}

Status check_signatures_work() {
  constexpr Digest kKey{kKnownKey};
  Signature wrong = kKnownSignature;
  wrong[63] ^= 1;
  if (is_signed_by(kKey, kKnownMessage, kKnownSignature) && !is_signed_by(kKey, kKnownMessage, wrong)) return {};
  return fail(Errc::kCorrupt, "verify a known signature");
}

}  // namespace mvm::supervisor
