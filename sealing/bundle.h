// The envelopes that go with one plan, as one run of bytes. docs/keys.md has the format. Pure bytes.
// Proven by: tests/sealing/envelope_test.cc, fuzz/bundle_fuzz.cc.
#pragma once

#include <vector>

#include "sealing/envelope.h"

namespace mvm::sealing {

inline constexpr std::size_t kMaxBundle = 16 << 20;
inline constexpr std::size_t kMaxBundledEnvelopes = 4096;

// kLimit where it would be over a limit. Of no envelopes: no bytes.
[[nodiscard]] Result<std::vector<std::uint8_t>> write_bundle(std::span<const std::vector<std::uint8_t>> envelopes);
// Views of `bytes`, in canonical order: by label, and none twice. kMalformed, kLimit where it is not of the format.
[[nodiscard]] Result<std::vector<Envelope>> read_bundle(Bytes bytes);

}  // namespace mvm::sealing
