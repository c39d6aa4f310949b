// AES-256-GCM (NIST SP 800-38D) and HKDF-SHA256 (RFC 5869), as the snapshot file uses them: a data key that is fresh for each
// file seals its parts under numbered nonces; the tenant's key, through HKDF, wraps the data key.
// Keys lie in the caller's secret memory; OpenSSL's contexts hold a schedule of them, and wipe it when they go. Touches nothing else.
// Proven by: tests/snapshot-file/crypto_test.cc (NIST's and RFC 5869's vectors), and the tests that flip every byte.
#pragma once

#include <openssl/evp.h>

#include <array>
#include <cstdint>
#include <span>

#include "base/digest.h"
#include "base/error.h"
#include "base/owned.h"
#include "base/secret.h"
#include "snapshot-file/header.h"

namespace mvm::snapshot_file {

// What a sealed part is. With its number it makes the nonce, so no two parts of a file have the same.
enum class Part : std::uint32_t { kMemory = 1, kState = 2, kIndex = 3 };

using Nonce = std::array<std::uint8_t, kNonceBytes>;

// Seals and opens the parts of one file. `header`: SHA-256 of the encoded header, which every part is bound to, as to how many there
// are of its kind, and by its nonce to its own number.
class PartCipher {
 public:
  enum class Way : std::uint8_t { kSeal, kOpen };
  [[nodiscard]] static Result<PartCipher> make(Way way, Key data_key, const Digest& header);

  // head and body, one after the other, into `out`, which has room for both and kTagBytes more. How many bytes that are.
  [[nodiscard]] Result<std::size_t> seal(Part part, std::uint32_t number, std::uint32_t count, std::span<const std::uint8_t> head,
                                         std::span<const std::uint8_t> body, std::uint8_t* out);
  // In place: the plaintext, a prefix of `sealed`. kCorrupt where a byte, the place, the file or the key is another.
  [[nodiscard]] Result<std::span<std::uint8_t>> open(Part part, std::uint32_t number, std::uint32_t count, std::span<std::uint8_t> sealed);

 private:
  explicit PartCipher(const Digest& header) : header_(header) {}
  [[nodiscard]] Status begin(Part part, std::uint32_t number, std::uint32_t count);
  Owned<EVP_CIPHER_CTX, &EVP_CIPHER_CTX_free> context_;
  Way way_ = Way::kOpen;
  Digest header_;
};

// Has OpenSSL load what it loads at first use, and sees that AES-256-GCM gives what it has to (The Galois/Counter Mode of Operation, test case 14).
// For a process that closes itself in: OpenSSL then reads no configuration, and does nothing at its end.
[[nodiscard]] Status prepare();
// A key of random bytes, of OpenSSL's private generator.
[[nodiscard]] Result<Secret> fresh_key(const SecretArena& arena);
// Fills header.wrapped: the data key, under a key that HKDF makes of the tenant's, bound to every other byte of the header.
[[nodiscard]] Status wrap(Header& header, Key tenant_key, Key data_key, const SecretArena& arena);
// The data key. kCorrupt where the header is not what was wrapped, or the tenant key another's.
[[nodiscard]] Result<Secret> unwrap(const Header& header, Key tenant_key, const SecretArena& arena);
// What a Secret of kKeyBytes holds.
[[nodiscard]] inline Key key_of(const Secret& secret) { return secret.bytes().first<kKeyBytes>(); }

}  // namespace mvm::snapshot_file
