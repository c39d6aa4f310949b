#include "vault/signer.h"

#include <openssl/evp.h>

#include "base/owned.h"

namespace mvm::vault {
namespace {

constexpr std::size_t kRawBytes = 32;
using Key = Owned<EVP_PKEY, &EVP_PKEY_free>;
using Context = Owned<EVP_MD_CTX, &EVP_MD_CTX_free>;

// Of OpenSSL's ordinary heap, overwritten when it goes.
Key key_of(const Secret& raw) { return Key(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, raw.bytes().data(), raw.size())); }

}  // namespace

Result<Signer> Signer::of(Secret raw) {
  if (raw.size() != kRawBytes) return fail(Errc::kMalformed, "sign with a key that is not 32 bytes");
  const Key key = key_of(raw);
  sealing::PublicKey public_key{};
  std::size_t size = public_key.size();
  if (!key || EVP_PKEY_get_raw_public_key(key.get(), public_key.data(), &size) != 1 || size != public_key.size()) {
    return fail(Errc::kSystem, "read the key that signs");
  }
  return Signer(std::move(raw), public_key);
}

Result<sealing::Signature> Signer::sign(std::string_view bytes) const {
  const Key key = key_of(raw_);
  const Context context(EVP_MD_CTX_new());
  sealing::Signature signature{};
  std::size_t size = signature.size();
  if (!key || !context || EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key.get()) != 1 ||
      EVP_DigestSign(context.get(), signature.data(), &size, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size()) != 1 ||
      size != signature.size()) {
    return fail(Errc::kSystem, "sign an envelope");
  }
  return signature;
}

}  // namespace mvm::vault
