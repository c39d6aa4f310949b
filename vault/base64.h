// Base64 of RFC 4648, section 4, padded: one spelling of each value, no white space.
// Proven by: tests/vault/answer_test.cc.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

namespace mvm::vault {

// How many bytes `text` stands for, written into `out`. Nothing where it is no base64, or does not fit.
[[nodiscard]] std::optional<std::size_t> decode_base64(std::span<const std::uint8_t> text, std::span<std::uint8_t> out);

}  // namespace mvm::vault
