// HPKE of RFC 9180, one message a key: mode base, DHKEM(X25519, HKDF-SHA256) (0x0020), HKDF-SHA256 (0x0001), AES-256-GCM (0x0002), on
// OpenSSL's EVP. What is secret on the way (the shared secret, what is derived from it, the plaintext) lies in a SecretArena. A Key that
// generate() made lies in OpenSSL's secure heap (use_secure_heap()); one that private_key() made in its ordinary heap, for OpenSSL 3.0 copies it
// there, and is overwritten when it goes: it is for the length of a call, and what is kept are the 32 bytes.
// No system call but what OpenSSL's own memory costs, and randomness for seal().
// Proven by: tests/sealing/hpke_test.cc (the RFC's vectors), fuzz/envelope_fuzz.cc.
#pragma once

#include <openssl/evp.h>

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "base/error.h"
#include "base/owned.h"
#include "base/secret.h"

namespace mvm::hpke {

using Bytes = std::span<const std::uint8_t>;
using PublicKey = std::array<std::uint8_t, 32>;
using Key = Owned<EVP_PKEY, &EVP_PKEY_free>;

inline constexpr std::size_t kTagBytes = 16;

struct Message {
  PublicKey enc{};                       // the sender's ephemeral public key
  std::vector<std::uint8_t> ciphertext;  // as long as the plaintext, and kTagBytes
};

[[nodiscard]] Result<Key> generate();
// Of 32 bytes, as X25519 private keys are written.
[[nodiscard]] Result<Key> private_key(Bytes raw);
[[nodiscard]] Result<PublicKey> public_of(const Key& key);
// The 32 bytes that private_key() takes.
[[nodiscard]] Result<Secret> raw_private(const SecretArena& arena, const Key& key);

// SealBase with a fresh ephemeral key. kMalformed: the recipient's key is one with which no secret can be shared.
[[nodiscard]] Result<Message> seal(const SecretArena& arena, const PublicKey& recipient, Bytes info, Bytes aad, Bytes plaintext);
// The same with an ephemeral key that is given. For the RFC's vectors: an ephemeral key that is used twice gives both plaintexts away.
[[nodiscard]] Result<Message> seal_with(const SecretArena& arena, const Key& ephemeral, const PublicKey& recipient, Bytes info, Bytes aad,
                                        Bytes plaintext);
// OpenBase. kDenied: it was not sealed to this key with this info and aad, or was changed. A plaintext of no bytes is kMalformed.
[[nodiscard]] Result<Secret> open(const SecretArena& arena, const Key& recipient, const PublicKey& enc, Bytes info, Bytes aad,
                                  Bytes ciphertext);

}  // namespace mvm::hpke
