// An envelope: one tenant's key or content, sealed to one start of one node's hostd, with a label in clear that says what it is, and
// the signature of who sealed it. docs/keys.md has the format byte for byte. Pure bytes: nothing here can open one.
// Whoever carries it reads the label and the signature; HPKE binds both labels and signer to what is sealed (info and aad), so neither can
// be changed, and nobody can sign again what another sealed.
// Proven by: tests/sealing/envelope_test.cc, fuzz/envelope_fuzz.cc.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/digest.h"
#include "base/error.h"
#include "base/ids.h"

namespace mvm::sealing {

using Bytes = std::span<const std::uint8_t>;
using PublicKey = std::array<std::uint8_t, 32>;  // X25519 or Ed25519
using Signature = std::array<std::uint8_t, 64>;  // Ed25519

inline constexpr std::size_t kTenantKeyBytes = 32;
inline constexpr std::size_t kMaxContent = 64 * 1024;       // bytes of a secrets or config drive's content
inline constexpr std::size_t kInfoBytes = 152;              // magic, label, recipient
inline constexpr std::size_t kAadBytes = 184;               // the same, and the signer
inline constexpr std::size_t kHeaderBytes = 220;
inline constexpr std::size_t kSealedTagBytes = 16;          // AES-GCM's
inline constexpr std::size_t kMaxEnvelope = kHeaderBytes + kMaxContent + kSealedTagBytes + 64;
inline constexpr std::uint32_t kMaxKeyVersion = 65'535;
inline constexpr std::uint64_t kMaxGeneration = (std::uint64_t{1} << 53) - 1;

enum class Purpose : std::uint8_t {
  kTenantKey = 1,  // 32 bytes: `key=acme/1`
  kSecrets,        // what a secrets drive carries
  kConfig,         // what a config drive carries
};
[[nodiscard]] std::string_view to_string(Purpose purpose);  // "key", "secrets", "config"

struct Label {
  Name node;
  Purpose purpose = Purpose::kTenantKey;
  Name tenant;
  std::uint32_t version = 0;     // of a tenant key, 1..kMaxKeyVersion; else 0
  Digest digest;                 // of content, SHA-256 of it; of a tenant key zero
  std::uint64_t generation = 0;  // of the projection that it is for, and for no other
  auto operator<=>(const Label&) const = default;
};
// "key acme/1", "secrets acme sha256:..."; what is sealed is not in it.
[[nodiscard]] std::string to_string(const Label& label);
// The name of the file that an envelope lies in: "key.acme.1.42.sealed", "secrets.acme.<64 hex digits>.42.sealed".
[[nodiscard]] std::string envelope_name(const Label& label);
// kMalformed where it is none that an envelope may carry.
[[nodiscard]] Status check_label(const Label& label);

// A view of an envelope's bytes, which must outlive it.
struct Envelope {
  Label label;
  Digest recipient;    // SHA-256 of the X25519 public key of the offer that it is sealed to
  PublicKey signer{};  // Ed25519
  PublicKey enc{};     // HPKE's
  Bytes ciphertext;
  Signature signature{};  // by `signer`, over `signed_bytes`
  Bytes info, aad, signed_bytes, whole;
};

// kMalformed where it is not of the format to the last byte; kLimit where it is longer than any.
[[nodiscard]] Result<Envelope> read_envelope(Bytes bytes);

// All of an envelope up to what HPKE gives. The rest is appended by finish().
struct Draft {
  std::vector<std::uint8_t> bytes;
  [[nodiscard]] Bytes info() const { return Bytes(bytes).first(kInfoBytes); }
  [[nodiscard]] Bytes aad() const { return Bytes(bytes).first(kAadBytes); }
};
[[nodiscard]] Result<Draft> begin_envelope(const Label& label, const PublicKey& recipient, const PublicKey& signer);
// What has to be signed; the 64 bytes of the signature come behind it, and that is the envelope.
[[nodiscard]] std::vector<std::uint8_t> to_be_signed(Draft draft, const PublicKey& enc, Bytes ciphertext);

[[nodiscard]] Digest key_id(const PublicKey& recipient);

}  // namespace mvm::sealing
