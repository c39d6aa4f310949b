// What the vault answers, decoded: the one or two values that are wanted out of its JSON, and nothing else of it is kept. Strings that are
// wanted go into secret memory. Bounded in size by who calls, in depth here; JSON is nlohmann's lexer, by its events, so there is no tree.
// Pure. Proven by: tests/vault/answer_test.cc, fuzz/vault_answer_fuzz.cc.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/ids.h"
#include "base/secret.h"
#include "vault/problem.h"

namespace mvm::vault {

using Bytes = std::span<const std::uint8_t>;

inline constexpr std::size_t kMaxAnswer = 64 * 1024;
inline constexpr std::size_t kMaxDepth = 16;       // objects and lists within each other
inline constexpr std::size_t kMaxToken = 512;
inline constexpr std::size_t kMaxCiphertext = 512; // "vault:v1:" and base64; of 32 bytes it has 89 characters
inline constexpr std::size_t kKeyBytes = 32;

// auth.client_token: letters, digits, '.', '-', '_' and '=' alone, so that it is one line of a header.
[[nodiscard]] Fetched<Secret> read_token(const SecretArena& arena, Bytes json);
// data.data.<field>, where data.metadata.version is the one that was asked for.
[[nodiscard]] Fetched<Secret> read_stored(const SecretArena& arena, Bytes json, const Name& field, std::uint32_t version);
// data.plaintext
[[nodiscard]] Fetched<Secret> read_plaintext(const SecretArena& arena, Bytes json);

// A key's 32 bytes, from base64.
[[nodiscard]] Fetched<Secret> read_key(const SecretArena& arena, Bytes base64);
// Whether it is what Transit wraps: "vault:v", a number, ':', base64.
[[nodiscard]] bool is_ciphertext(Bytes text);

}  // namespace mvm::vault
