#include "sealing/key_schedule.h"

#include <openssl/core_names.h>
#include <openssl/params.h>

#include <algorithm>
#include <initializer_list>
#include <string_view>

namespace mvm::hpke {
namespace {

constexpr std::size_t kHashBytes = 32;
constexpr std::array<std::uint8_t, 5> kKemSuite = {'K', 'E', 'M', 0x00, 0x20};
constexpr std::array<std::uint8_t, 10> kSuite = {'H', 'P', 'K', 'E', 0x00, 0x20, 0x00, 0x01, 0x00, 0x02};
constexpr std::string_view kVersion = "HPKE-v1";
constexpr std::uint8_t kModeBase = 0x00;

using MacContext = Owned<EVP_MAC_CTX, &EVP_MAC_CTX_free>;
using Mac = Owned<EVP_MAC, &EVP_MAC_free>;
using Parts = std::initializer_list<Bytes>;

Bytes text(std::string_view of) { return {reinterpret_cast<const std::uint8_t*>(of.data()), of.size()}; }

std::unexpected<Error> broken(const char* what) { return fail(Errc::kSystem, "derive a key", what); }

// HMAC-SHA-256 of the parts, one behind the other. An empty key is a key of zeros, as RFC 5869 has it.
Status hmac(Bytes key, Parts parts, std::span<std::uint8_t> out) {
  static constexpr std::array<std::uint8_t, kHashBytes> kZeros{};
  const Mac mac(EVP_MAC_fetch(nullptr, "HMAC", nullptr));
  const MacContext context(mac ? EVP_MAC_CTX_new(mac.get()) : nullptr);
  char digest[] = "SHA256";
  const OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0), OSSL_PARAM_construct_end()};
  const Bytes used = key.empty() ? Bytes(kZeros) : key;
  if (!context || EVP_MAC_init(context.get(), used.data(), used.size(), params) != 1) return broken("HMAC");
  for (const Bytes part : parts) {
    if (!part.empty() && EVP_MAC_update(context.get(), part.data(), part.size()) != 1) return broken("HMAC");
  }
  std::size_t size = 0;
  if (EVP_MAC_final(context.get(), out.data(), &size, out.size()) != 1 || size != kHashBytes) return broken("HMAC");
  return {};
}

Status labeled_extract(Bytes suite, Bytes salt, std::string_view label, Bytes ikm, std::span<std::uint8_t> out) {
  return hmac(salt, {text(kVersion), suite, text(label), ikm}, out);
}

// One block of HKDF-Expand: nothing here is longer than a hash. `block` is where it is made; its first `length` bytes are meant.
Status labeled_expand(Bytes suite, Bytes prk, std::string_view label, Bytes info, std::uint8_t length, std::span<std::uint8_t> block) {
  const std::array<std::uint8_t, 2> size = {0, length};
  const std::array<std::uint8_t, 1> first = {1};
  return hmac(prk, {size, text(kVersion), suite, text(label), info, first}, block);
}

Status x25519(const Key& own, const PublicKey& peer, std::span<std::uint8_t> out) {
  const Key other(EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, nullptr, peer.data(), peer.size()));
  const Owned<EVP_PKEY_CTX, &EVP_PKEY_CTX_free> context(EVP_PKEY_CTX_new(own.get(), nullptr));
  if (!other || !context || EVP_PKEY_derive_init(context.get()) != 1) return broken("X25519");
  std::size_t size = out.size();
  // OpenSSL refuses a result of zero here, as section 7.1.4 wants it.
  if (EVP_PKEY_derive_set_peer(context.get(), other.get()) != 1 || EVP_PKEY_derive(context.get(), out.data(), &size) != 1 ||
      size != out.size()) {
    return fail(Errc::kMalformed, "share a secret with this public key");
  }
  return {};
}

std::array<std::uint8_t, 64> joined(const PublicKey& enc, const PublicKey& recipient) {
  std::array<std::uint8_t, 64> both{};
  std::ranges::copy(recipient, std::ranges::copy(enc, both.begin()).out);
  return both;
}

}  // namespace

Result<Context> derive(const SecretArena& arena, const Key& own, const PublicKey& peer, const PublicKey& enc, const PublicKey& recipient,
                       Bytes info) {
  auto secret = arena.take(3 * kHashBytes);
  if (!secret) return forward(secret.error());
  const auto at = [&](std::size_t index) { return secret->bytes().subspan(index * kHashBytes, kHashBytes); };
  const auto a = at(0), b = at(1), c = at(2);

  // Encap() and Decap() from `dh` on; the shared secret ends in b.
  if (auto ok = x25519(own, peer, a); !ok) return forward(ok.error());
  if (auto ok = labeled_extract(kKemSuite, {}, "eae_prk", a, b); !ok) return forward(ok.error());
  if (auto ok = labeled_expand(kKemSuite, b, "shared_secret", joined(enc, recipient), kHashBytes, a); !ok) return forward(ok.error());
  std::ranges::copy(a, b.begin());

  // KeySchedule() without a PSK.
  std::array<std::uint8_t, 1 + 2 * kHashBytes> context{kModeBase};
  const std::span<std::uint8_t> hashes = std::span(context).subspan(1);
  if (auto ok = labeled_extract(kSuite, {}, "psk_id_hash", {}, hashes.first(kHashBytes)); !ok) return forward(ok.error());
  if (auto ok = labeled_extract(kSuite, {}, "info_hash", info, hashes.last(kHashBytes)); !ok) return forward(ok.error());
  if (auto ok = labeled_extract(kSuite, b, "secret", {}, c); !ok) return forward(ok.error());
  if (auto ok = labeled_expand(kSuite, c, "key", context, kKeyBytes, a); !ok) return forward(ok.error());
  if (auto ok = labeled_expand(kSuite, c, "base_nonce", context, kNonceBytes, b); !ok) return forward(ok.error());
  return Context{*std::move(secret)};
}

}  // namespace mvm::hpke
