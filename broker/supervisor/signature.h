// Ed25519 (RFC 8032) over exact bytes, by OpenSSL. Pure.
// Proven by: tests/supervisor/signature_test.cc, with a signature by `openssl pkeyutl`.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/digest.h"
#include "base/error.h"
#include "schemas/broker.h"

namespace mvm::supervisor {

using Signature = std::array<std::uint8_t, wire::kSignatureBytes>;

// Whether one of the keys (public, as a policy writes them) made the signature.
[[nodiscard]] bool is_signed_by_one(std::span<const Digest> keys, std::string_view message, const Signature& signature);
// Verifies a known signature and refuses a wrong one. Called before the sandbox closes, so that all that OpenSSL loads is
// loaded. kCorrupt: OpenSSL cannot be trusted with it.
[[nodiscard]] Status check_signatures_work();

}  // namespace mvm::supervisor
