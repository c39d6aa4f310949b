// Where each chunk lies, by their lengths alone: they follow each other without a gap, so no index can make two of them overlap, and any
// chunk is found in one read. Then the chunks that are to be served first. Pure.
// Proven by: tests/snapshot-file/index_test.cc, fuzz/snapshot_file_fuzz.cc.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/error.h"
#include "snapshot-file/header.h"

namespace mvm::snapshot_file {

class Index {
 public:
  // Lengths as they stand in the file, the tag included; 0: no byte. Of memory's chunks, then of the state's.
  std::vector<std::uint32_t> lengths;
  std::vector<std::uint32_t> first;  // numbers of memory's chunks, none twice
};

[[nodiscard]] std::vector<std::uint8_t> encode(const Index& index);
// kMalformed or kLimit where a length is one that no chunk has, a number is not one of a chunk, or stands twice.
[[nodiscard]] Result<Index> decode_index(const Header& header, std::span<const std::uint8_t> bytes);

// The places of the chunks: of length n + 1, so a chunk is at [i] and ends at [i + 1]. The last is where the sealed index begins.
[[nodiscard]] std::vector<std::uint64_t> places(const Index& index);

}  // namespace mvm::snapshot_file
