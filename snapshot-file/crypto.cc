#include "snapshot-file/crypto.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include <algorithm>
#include <string_view>

#include "snapshot-file/bytes.h"

namespace mvm::snapshot_file {
namespace {

using Context = Owned<EVP_CIPHER_CTX, &EVP_CIPHER_CTX_free>;

constexpr std::string_view kWrapInfo = "mvm snapshot 1 wrap";
constexpr std::size_t kBindingBytes = 36;

std::unexpected<Error> library(const char* what) { return fail(Errc::kSystem, what, "OpenSSL"); }

Result<Context> gcm(PartCipher::Way way, Key key) {
  Context context(EVP_CIPHER_CTX_new());
  const int encrypts = way == PartCipher::Way::kSeal ? 1 : 0;
  if (!context || EVP_CipherInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, key.data(), nullptr, encrypts) != 1) return library("begin AES-256-GCM");
  return context;
}

Status update(EVP_CIPHER_CTX* context, std::uint8_t* out, std::span<const std::uint8_t> in) {
  int length = 0;
  if (in.empty()) return {};
  if (EVP_CipherUpdate(context, out, &length, in.data(), static_cast<int>(in.size())) != 1) return library("AES-256-GCM");
  return {};
}

// The key that wraps: HKDF of the tenant's, for this tenant and this version of its key alone.
Result<Secret> wrapping_key(const Header& header, Key tenant_key, const SecretArena& arena) {
  auto key = arena.take(kKeyBytes);
  if (!key) return key;
  std::array<std::uint8_t, kWrapInfo.size() + kMaxName + 4> info{};
  Put put(info.data());
  put.bytes(kWrapInfo);
  put.bytes(header.instance.tenant.padded());
  put.number(header.key_version);
  Owned<EVP_KDF, &EVP_KDF_free> kdf(EVP_KDF_fetch(nullptr, "HKDF", nullptr));
  Owned<EVP_KDF_CTX, &EVP_KDF_CTX_free> context(kdf ? EVP_KDF_CTX_new(kdf.get()) : nullptr);
  char digest[] = "SHA256";
  const OSSL_PARAM params[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, const_cast<std::uint8_t*>(tenant_key.data()), tenant_key.size()),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info.data(), info.size()),
      OSSL_PARAM_construct_end(),
  };
  if (!context || EVP_KDF_derive(context.get(), key->bytes().data(), kKeyBytes, params) != 1) return library("HKDF");
  return key;
}

// Every byte of the header but the wrapped key's own.
auto bound(const Header& header) {
  const auto bytes = encode(header);
  std::array<std::uint8_t, kHeaderBytes - kWrappedBytes> rest{};
  std::copy_n(bytes.begin(), rest.size(), rest.begin());
  return rest;
}

}  // namespace

Result<PartCipher> PartCipher::make(Way way, Key data_key, const Digest& header) {
  PartCipher cipher(header);
  auto context = gcm(way, data_key);
  if (!context) return forward(std::move(context.error()));
  cipher.context_ = std::move(*context);
  cipher.way_ = way;
  return cipher;
}

Status PartCipher::begin(Part part, std::uint32_t number, std::uint32_t count) {
  Nonce nonce{};
  Put named(nonce.data());
  named.number(static_cast<std::uint32_t>(part));
  named.number(std::uint64_t{number});
  std::array<std::uint8_t, kBindingBytes> binding{};
  Put put(binding.data());
  put.bytes(header_.bytes);
  put.number(count);
  if (EVP_CipherInit_ex(context_.get(), nullptr, nullptr, nullptr, nonce.data(), way_ == Way::kSeal ? 1 : 0) != 1) return library("AES-256-GCM");
  return update(context_.get(), nullptr, binding);
}

Result<std::size_t> PartCipher::seal(Part part, std::uint32_t number, std::uint32_t count, std::span<const std::uint8_t> head,
                                     std::span<const std::uint8_t> body, std::uint8_t* out) {
  if (way_ != Way::kSeal) return fail(Errc::kDenied, "seal with what opens");
  if (auto ok = begin(part, number, count); !ok) return forward(std::move(ok.error()));
  if (auto ok = update(context_.get(), out, head); !ok) return forward(std::move(ok.error()));
  if (auto ok = update(context_.get(), out + head.size(), body); !ok) return forward(std::move(ok.error()));
  std::uint8_t* const tag = out + head.size() + body.size();
  int none = 0;
  if (EVP_CipherFinal_ex(context_.get(), tag, &none) != 1 || EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_GCM_GET_TAG, kTagBytes, tag) != 1) return library("AES-256-GCM");
  return head.size() + body.size() + kTagBytes;
}

Result<std::span<std::uint8_t>> PartCipher::open(Part part, std::uint32_t number, std::uint32_t count, std::span<std::uint8_t> sealed) {
  if (way_ != Way::kOpen) return fail(Errc::kDenied, "open with what seals");
  if (sealed.size() < kTagBytes) return fail(Errc::kCorrupt, "open a sealed part", "length");
  const auto text = sealed.first(sealed.size() - kTagBytes);
  if (auto ok = begin(part, number, count); !ok) return forward(std::move(ok.error()));
  if (auto ok = update(context_.get(), text.data(), text); !ok) return forward(std::move(ok.error()));
  std::array<std::uint8_t, kTagBytes> none{};
  int length = 0;
  if (EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_GCM_SET_TAG, kTagBytes, sealed.data() + text.size()) != 1) return library("AES-256-GCM");
  if (EVP_CipherFinal_ex(context_.get(), none.data(), &length) != 1) {
    OPENSSL_cleanse(text.data(), text.size());  // what did not verify is nobody's to look at
    return fail(Errc::kCorrupt, "open a sealed part", "it is not what was sealed");
  }
  return text;
}

Status wrap(Header& header, Key tenant_key, Key data_key, const SecretArena& arena) {
  const auto key = wrapping_key(header, tenant_key, arena);
  if (!key) return forward(key.error());
  auto context = gcm(PartCipher::Way::kSeal, key_of(*key));
  if (!context) return forward(std::move(context.error()));
  std::uint8_t* const nonce = header.wrapped.data();
  std::uint8_t* const tag = nonce + kNonceBytes + kKeyBytes;
  int none = 0;
  if (RAND_bytes(nonce, kNonceBytes) != 1) return library("draw a nonce");
  if (EVP_CipherInit_ex(context->get(), nullptr, nullptr, nullptr, nonce, 1) != 1) return library("AES-256-GCM");
  if (auto ok = update(context->get(), nullptr, bound(header)); !ok) return ok;
  if (auto ok = update(context->get(), nonce + kNonceBytes, data_key); !ok) return ok;
  if (EVP_CipherFinal_ex(context->get(), tag, &none) != 1 || EVP_CIPHER_CTX_ctrl(context->get(), EVP_CTRL_GCM_GET_TAG, kTagBytes, tag) != 1) return library("wrap a key");
  return {};
}

Result<Secret> unwrap(const Header& header, Key tenant_key, const SecretArena& arena) {
  const auto key = wrapping_key(header, tenant_key, arena);
  if (!key) return forward(key.error());
  auto data_key = arena.take(kKeyBytes);
  if (!data_key) return data_key;
  auto context = gcm(PartCipher::Way::kOpen, key_of(*key));
  if (!context) return forward(std::move(context.error()));
  const std::span wrapped(header.wrapped);
  std::array<std::uint8_t, kTagBytes> tag{}, none{};
  std::ranges::copy(wrapped.last(kTagBytes), tag.begin());
  int length = 0;
  if (EVP_CipherInit_ex(context->get(), nullptr, nullptr, nullptr, wrapped.data(), 0) != 1) return library("AES-256-GCM");
  if (auto ok = update(context->get(), nullptr, bound(header)); !ok) return forward(std::move(ok.error()));
  if (auto ok = update(context->get(), data_key->bytes().data(), wrapped.subspan(kNonceBytes, kKeyBytes)); !ok) return forward(std::move(ok.error()));
  if (EVP_CIPHER_CTX_ctrl(context->get(), EVP_CTRL_GCM_SET_TAG, kTagBytes, tag.data()) != 1) return library("AES-256-GCM");
  if (EVP_CipherFinal_ex(context->get(), none.data(), &length) != 1) return fail(Errc::kCorrupt, "unwrap a snapshot's key", to_string(header.instance));
  return data_key;
}

Status prepare() {
  constexpr std::array<std::uint8_t, 32> kExpected = {0xce, 0xa7, 0x40, 0x3d, 0x4d, 0x60, 0x6b, 0x6e, 0x07, 0x4e, 0xc5, 0xd3, 0xba, 0xf3, 0x9d, 0x18,
                                                      0xd0, 0xd1, 0xc8, 0xa7, 0x99, 0x99, 0x6b, 0xf0, 0x26, 0x5b, 0x98, 0xb5, 0xd4, 0x8a, 0xb9, 0x19};
  constexpr std::array<std::uint8_t, kKeyBytes> kZeros{};
  std::array<std::uint8_t, 32> sealed{};
  if (OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT | OPENSSL_INIT_NO_LOAD_CONFIG, nullptr) != 1) return library("begin");
  auto context = gcm(PartCipher::Way::kSeal, kZeros);
  if (!context) return forward(std::move(context.error()));
  int none = 0;
  if (EVP_CipherInit_ex(context->get(), nullptr, nullptr, nullptr, kZeros.data(), 1) != 1) return library("AES-256-GCM");
  if (auto ok = update(context->get(), sealed.data(), std::span(kZeros).first(16)); !ok) return ok;
  if (EVP_CipherFinal_ex(context->get(), sealed.data() + 16, &none) != 1 || EVP_CIPHER_CTX_ctrl(context->get(), EVP_CTRL_GCM_GET_TAG, kTagBytes, sealed.data() + 16) != 1) return library("AES-256-GCM");
  if (sealed != kExpected) return fail(Errc::kCorrupt, "try AES-256-GCM");
  (void)sha256("");
  return {};
}

Result<Secret> fresh_key(const SecretArena& arena) {
  auto key = arena.take(kKeyBytes);
  if (key && RAND_priv_bytes(key->bytes().data(), kKeyBytes) != 1) return library("draw a key");
  return key;
}

}  // namespace mvm::snapshot_file
