#include "planner/signing.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "base/known_signature.h"
#include "base/owned.h"

namespace mvm::planner {
namespace {

using Key = Owned<EVP_PKEY, &EVP_PKEY_free>;
using Bio = Owned<BIO, &BIO_free_all>;
using MdContext = Owned<EVP_MD_CTX, &EVP_MD_CTX_free>;

const unsigned char* bytes_of(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }

// No password is ever asked for on a terminal.
int no_password(char*, int, int, void*) { return -1; }

Result<Key> read_private(std::string_view pem) {
  if (pem.size() > kMaxPem) return fail(Errc::kLimit, "read the private key");
  const Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  if (!bio) return fail(Errc::kSystem, "read the private key");
  Key key(PEM_read_bio_PrivateKey(bio.get(), nullptr, &no_password, nullptr));
  if (!key || EVP_PKEY_get_id(key.get()) != EVP_PKEY_ED25519) return fail(Errc::kMalformed, "read an Ed25519 private key");
  return key;
}

Result<PublicKey> raw_public(const Key& key) {
  PublicKey raw;
  std::size_t size = raw.size();
  if (EVP_PKEY_get_raw_public_key(key.get(), raw.data(), &size) != 1 || size != raw.size()) {
    return fail(Errc::kMalformed, "take the public key");
  }
  return raw;
}

}  // namespace

Result<KeyPair> generate_key() {
  const Key key(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
  const Bio bio(BIO_new(BIO_s_secmem()));
  if (!key || !bio) return fail(Errc::kSystem, "generate an Ed25519 key");
  if (PEM_write_bio_PKCS8PrivateKey(bio.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1) {
    return fail(Errc::kSystem, "write the private key");
  }
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  auto raw = raw_public(key);
  if (!raw) return forward(raw.error());
  return KeyPair{std::string(data, static_cast<std::size_t>(size)), *raw};
}

Result<PublicKey> generate_raw_key(std::span<std::uint8_t, 32> raw) {
  const Key key(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
  std::size_t size = raw.size();
  if (!key || EVP_PKEY_get_raw_private_key(key.get(), raw.data(), &size) != 1 || size != raw.size()) {
    return fail(Errc::kSystem, "generate an Ed25519 key");
  }
  return raw_public(key);
}

Result<PublicKey> public_of(std::string_view private_pem) {
  auto key = read_private(private_pem);
  if (!key) return forward(key.error());
  return raw_public(*key);
}

Result<Signature> sign(std::string_view private_pem, std::string_view bytes) {
  auto key = read_private(private_pem);
  if (!key) return forward(key.error());
  const MdContext context(EVP_MD_CTX_new());
  Signature signature;
  std::size_t size = signature.size();
  if (!context || EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key->get()) != 1 ||
      EVP_DigestSign(context.get(), signature.data(), &size, bytes_of(bytes), bytes.size()) != 1 || size != signature.size()) {
    return fail(Errc::kSystem, "sign");
  }
  return signature;
}

bool signed_by(const PublicKey& key, std::string_view bytes, const Signature& signature) {
  const Key pkey(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, key.data(), key.size()));
  const MdContext context(EVP_MD_CTX_new());
  return pkey && context && EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, pkey.get()) == 1 &&
         EVP_DigestVerify(context.get(), signature.data(), signature.size(), bytes_of(bytes), bytes.size()) == 1;
}

Status check_signatures_work() {
  Signature wrong = kKnownSignature;
  wrong[63] ^= 1;
  if (signed_by(kKnownKey, kKnownMessage, kKnownSignature) && !signed_by(kKnownKey, kKnownMessage, wrong)) return {};
  return fail(Errc::kCorrupt, "verify a known signature");
}

}  // namespace mvm::planner
