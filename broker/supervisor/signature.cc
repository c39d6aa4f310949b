#include "broker/supervisor/signature.h"

#include <openssl/evp.h>

#include <algorithm>

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

// RFC 8032, 7.1, TEST 2: the message is one byte, 0x72.
constexpr Digest kTestKey = {{0x3d, 0x40, 0x17, 0xc3, 0xe8, 0x43, 0x89, 0x5a, 0x92, 0xb7, 0x0a, 0xa7, 0x4d, 0x1b, 0x7e, 0xbc,
                              0x9c, 0x98, 0x2c, 0xcf, 0x2e, 0xc4, 0x96, 0x8c, 0xc0, 0xcd, 0x55, 0xf1, 0x2a, 0xf4, 0x66, 0x0c}};
constexpr Signature kTestSignature = {0x92, 0xa0, 0x09, 0xa9, 0xf0, 0xd4, 0xca, 0xb8, 0x72, 0x0e, 0x82, 0x0b, 0x5f, 0x64, 0x25, 0x40,
                                      0xa2, 0xb2, 0x7b, 0x54, 0x16, 0x50, 0x3f, 0x8f, 0xb3, 0x76, 0x22, 0x23, 0xeb, 0xdb, 0x69, 0xda,
                                      0x08, 0x5a, 0xc1, 0xe4, 0x3e, 0x15, 0x99, 0x6e, 0x45, 0x8f, 0x36, 0x13, 0xd0, 0xf1, 0x1d, 0x8c,
                                      0x38, 0x7b, 0x2e, 0xae, 0xb4, 0x30, 0x2a, 0xee, 0xb0, 0x0d, 0x29, 0x16, 0x12, 0xbb, 0x0c, 0x00};

}  // namespace

bool is_signed_by_one(std::span<const Digest> keys, std::string_view message, const Signature& signature) {
  return std::ranges::any_of(keys, [&](const Digest& key) { return is_signed_by(key, message, signature); });
}

Status check_signatures_work() {
  Signature wrong = kTestSignature;
  wrong[63] ^= 1;
  if (is_signed_by(kTestKey, "\x72", kTestSignature) && !is_signed_by(kTestKey, "\x72", wrong)) return {};
  return fail(Errc::kCorrupt, "verify a known signature");
}

}  // namespace mvm::supervisor
