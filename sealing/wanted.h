// What a node's agent misses, for who seals beside it: hostd's offer, and the labels of the keys and the content that it waits for.
// docs/keys.md has the format byte for byte. Pure bytes. Whoever reads one trusts nothing of it: the offer is signed, and what is sealed to
// it, whatever was asked for, only that start of hostd can open.
// Proven by: tests/sealing/wanted_test.cc, fuzz/wanted_fuzz.cc.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sealing/envelope.h"
#include "sealing/offer.h"

namespace mvm::sealing {

inline constexpr std::size_t kMaxWantedLabels = 1024;
inline constexpr std::size_t kWantedHeadBytes = 164, kWantedLabelBytes = 72;
inline constexpr std::size_t kMaxWanted = kWantedHeadBytes + kMaxWantedLabels * kWantedLabelBytes;

struct Wanted {
  Bytes offer;  // of the bytes that were read; its signature is still to be checked
  std::uint64_t generation = 0;
  std::vector<Label> labels;  // of the offer's node and that generation, in order, none twice
};

// kMalformed where a label is not of the offer's node and that generation, or the offer is none; kLimit where there are too many labels.
[[nodiscard]] Result<std::vector<std::uint8_t>> write_wanted(Bytes offer, std::uint64_t generation, std::span<const Label> labels);
// kMalformed, kLimit where it is not of the format to the last byte.
[[nodiscard]] Result<Wanted> read_wanted(Bytes bytes);

}  // namespace mvm::sealing
