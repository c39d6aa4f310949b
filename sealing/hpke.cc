#include "sealing/hpke.h"

#include <algorithm>
#include <climits>

#include "sealing/key_schedule.h"

namespace mvm::hpke {
namespace {

constexpr std::size_t kMostBytes = INT_MAX - kTagBytes;  // EVP counts in int

using CipherContext = Owned<EVP_CIPHER_CTX, &EVP_CIPHER_CTX_free>;

std::unexpected<Error> broken(const char* what) { return fail(Errc::kSystem, what); }

int length(Bytes bytes) { return static_cast<int>(bytes.size()); }

Result<Message> encrypt(const Context& context, const PublicKey& enc, Bytes aad, Bytes plaintext) {
  Message message{enc, std::vector<std::uint8_t>(plaintext.size() + kTagBytes)};
  const CipherContext cipher(EVP_CIPHER_CTX_new());
  std::uint8_t* const out = message.ciphertext.data();
  int wrote = 0, ended = 0;
  const bool sealed = cipher && EVP_EncryptInit_ex2(cipher.get(), EVP_aes_256_gcm(), context.key().data(), context.nonce().data(), nullptr) == 1 &&
                      (aad.empty() || EVP_EncryptUpdate(cipher.get(), nullptr, &wrote, aad.data(), length(aad)) == 1) &&
                      EVP_EncryptUpdate(cipher.get(), out, &wrote, plaintext.data(), length(plaintext)) == 1 &&
                      EVP_EncryptFinal_ex(cipher.get(), out + wrote, &ended) == 1 &&
                      static_cast<std::size_t>(wrote) == plaintext.size() && ended == 0 &&
                      EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_AEAD_GET_TAG, kTagBytes, out + wrote) == 1;
  if (!sealed) return broken("seal");
  return message;
}

// The plaintext is there before the tag has been checked; where it does not hold, the Secret is wiped on the way out.
Result<Secret> decrypt(const SecretArena& arena, const Context& context, Bytes aad, Bytes ciphertext) {
  const Bytes body = ciphertext.first(ciphertext.size() - kTagBytes);
  std::array<std::uint8_t, kTagBytes> tag{};
  std::ranges::copy(ciphertext.last(kTagBytes), tag.begin());
  auto plaintext = arena.take(body.size());
  if (!plaintext) return plaintext;
  const CipherContext cipher(EVP_CIPHER_CTX_new());
  std::uint8_t* const out = plaintext->bytes().data();
  int wrote = 0, ended = 0;
  const bool begun = cipher && EVP_DecryptInit_ex2(cipher.get(), EVP_aes_256_gcm(), context.key().data(), context.nonce().data(), nullptr) == 1 &&
                     (aad.empty() || EVP_DecryptUpdate(cipher.get(), nullptr, &wrote, aad.data(), length(aad)) == 1) &&
                     EVP_DecryptUpdate(cipher.get(), out, &wrote, body.data(), length(body)) == 1 &&
                     static_cast<std::size_t>(wrote) == body.size() &&
                     EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_AEAD_SET_TAG, kTagBytes, tag.data()) == 1;
  if (!begun) return broken("open what is sealed");
  if (EVP_DecryptFinal_ex(cipher.get(), out + wrote, &ended) != 1) {
    return fail(Errc::kDenied, "open what was not sealed to this key for this, or was changed");
  }
  return plaintext;
}

}  // namespace

Result<Key> generate() {
  Key key(EVP_PKEY_Q_keygen(nullptr, nullptr, "X25519"));
  if (!key) return broken("make an X25519 key");
  return key;
}

Result<Key> private_key(Bytes raw) {
  Key key(EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, nullptr, raw.data(), raw.size()));
  if (!key) return fail(Errc::kMalformed, "read an X25519 private key");
  return key;
}

Result<PublicKey> public_of(const Key& key) {
  PublicKey out{};
  std::size_t size = out.size();
  if (EVP_PKEY_get_raw_public_key(key.get(), out.data(), &size) != 1 || size != out.size()) return broken("take a public key");
  return out;
}

Result<Secret> raw_private(const SecretArena& arena, const Key& key) {
  auto raw = arena.take(PublicKey{}.size());
  if (!raw) return raw;
  std::size_t size = raw->size();
  if (EVP_PKEY_get_raw_private_key(key.get(), raw->bytes().data(), &size) != 1 || size != raw->size()) return broken("take a private key");
  return raw;
}

Result<Message> seal(const SecretArena& arena, const PublicKey& recipient, Bytes info, Bytes aad, Bytes plaintext) {
  const auto ephemeral = generate();
  if (!ephemeral) return forward(ephemeral.error());
  return seal_with(arena, *ephemeral, recipient, info, aad, plaintext);
}

Result<Message> seal_with(const SecretArena& arena, const Key& ephemeral, const PublicKey& recipient, Bytes info, Bytes aad, Bytes plaintext) {
  if (plaintext.empty() || plaintext.size() > kMostBytes || aad.size() > kMostBytes) return fail(Errc::kLimit, "seal");
  const auto enc = public_of(ephemeral);
  if (!enc) return forward(enc.error());
  const auto context = derive(arena, ephemeral, recipient, *enc, recipient, info);
  if (!context) return forward(context.error());
  return encrypt(*context, *enc, aad, plaintext);
}

Result<Secret> open(const SecretArena& arena, const Key& recipient, const PublicKey& enc, Bytes info, Bytes aad, Bytes ciphertext) {
  if (ciphertext.size() <= kTagBytes || ciphertext.size() > kMostBytes || aad.size() > kMostBytes) {
    return fail(Errc::kMalformed, "open what is sealed");
  }
  const auto own = public_of(recipient);
  if (!own) return forward(own.error());
  const auto context = derive(arena, recipient, enc, enc, *own, info);
  if (!context) return forward(context.error());
  return decrypt(arena, *context, aad, ciphertext);
}

}  // namespace mvm::hpke
