// Ed25519 (RFC 8032) over exact bytes, as `openssl pkeyutl -sign -rawin` and `-verify -rawin` do it. Private keys are PKCS #8
// PEM files (`openssl genpkey -algorithm ed25519`), so that openssl and mvm read each other's. Touches no file.
// Proven by: tests/planner/signing_test.cc (RFC 8032's vectors, and openssl itself).
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"

namespace mvm::planner {

using PublicKey = std::array<std::uint8_t, 32>;
using Signature = std::array<std::uint8_t, 64>;

inline constexpr std::size_t kMaxPem = 4096;

struct KeyPair {
  std::string private_pem;
  PublicKey public_key{};
};

[[nodiscard]] Result<KeyPair> generate_key();
// Another, whose private half is the 32 bytes that RFC 8032 has, written into `raw`. What OpenSSL keeps meanwhile lies in its secure heap,
// where use_secure_heap() was called.
[[nodiscard]] Result<PublicKey> generate_raw_key(std::span<std::uint8_t, 32> raw);
[[nodiscard]] Result<PublicKey> public_of(std::string_view private_pem);
[[nodiscard]] Result<Signature> sign(std::string_view private_pem, std::string_view bytes);
// Whether `signature` is that key's over `bytes`. False too for a key that is none.
[[nodiscard]] bool signed_by(const PublicKey& key, std::string_view bytes, const Signature& signature);
// Verifies a known signature and refuses a wrong one; kCorrupt where that is not so. Called before the sandbox closes, so that all
// that OpenSSL loads is loaded.
[[nodiscard]] Status check_signatures_work();

}  // namespace mvm::planner
