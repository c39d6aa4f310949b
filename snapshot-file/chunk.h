// The plaintext of one chunk of memory: which of its pages are there, and those, compressed where that helps. Pure.
// head: form (0 raw, 1 zstd), three zero bytes, two bits a page from the lowest bit on (0 zeros, 1 data, 2 as in the base), zeros up
// to a multiple of 16. body: the data pages, packed. So a page of zeros costs two bits, and what is to be compressed or encrypted
// is no more than what holds data.
// Proven by: tests/snapshot-file/chunk_test.cc, fuzz/snapshot_file_fuzz.cc.
#pragma once

#include <zstd.h>

#include <cstdint>
#include <span>
#include <vector>

#include "base/error.h"
#include "base/owned.h"
#include "snapshot-file/header.h"
#include "snapshot-file/wiped.h"

namespace mvm::snapshot_file {

enum class PageIs : std::uint8_t { kZero, kData, kInBase };

inline constexpr int kZstdLevel = 1;

[[nodiscard]] constexpr std::size_t head_bytes(std::uint32_t chunk) { return (4 + (chunk / kPage * 2 + 7) / 8 + 15) / 16 * 16; }
// The longest that a chunk can be, without its tag: raw, and every page data.
[[nodiscard]] constexpr std::size_t max_packed(std::uint32_t chunk) { return head_bytes(chunk) + chunk; }

[[nodiscard]] bool is_zero_page(const std::uint8_t* page);

// A chunk to be sealed: head and body are the packer's, or the memory's own, until the next pack().
struct Packed {
  std::span<const std::uint8_t> head;  // empty: nothing but pages that need no byte at all (zeros of a full one, the base's of a diff)
  std::span<const std::uint8_t> body;
};

class Packer {
 public:
  Packer(Kind kind, Compression compression, std::uint32_t chunk);
  // `memory`: a whole chunk. `in_base`, of a diff: per page whether it is the base's; empty: none is.
  [[nodiscard]] Result<Packed> pack(std::span<const std::uint8_t> memory, std::span<const bool> in_base);
  // Bytes that are not memory: compressed where that helps, with a head that names no page.
  [[nodiscard]] Result<Packed> pack_bytes(std::span<const std::uint8_t> bytes);

 private:
  Result<Packed> finish(std::span<const std::uint8_t> body);
  Kind kind_;
  Compression compression_;
  std::uint32_t chunk_;
  Owned<ZSTD_CCtx, &ZSTD_freeCCtx> zstd_;
  WipedBytes head_, gathered_, compressed_;
};

// An opened chunk: what each page is, and the data pages one after the other. Borrowed from the unpacker and from what it was given.
struct Unpacked {
  std::span<const PageIs> pages;
  std::span<const std::uint8_t> data;
};

// Each page in its place; what is no data is zeros. `to`: a whole chunk.
void lay_out(const Unpacked& chunk, std::span<std::uint8_t> to);

class Unpacker {
 public:
  Unpacker(Kind kind, std::uint32_t chunk);
  // kMalformed where it is not what a Packer gives.
  [[nodiscard]] Result<Unpacked> unpack(std::span<const std::uint8_t> packed);
  // A chunk of which the file holds no byte.
  [[nodiscard]] Unpacked nothing();
  [[nodiscard]] Result<std::span<const std::uint8_t>> unpack_bytes(std::span<const std::uint8_t> packed, std::size_t length);

 private:
  Result<std::span<const std::uint8_t>> body(std::span<const std::uint8_t> packed, std::size_t length);
  Kind kind_;
  std::uint32_t chunk_;
  Owned<ZSTD_DCtx, &ZSTD_freeDCtx> zstd_;
  std::vector<PageIs> pages_;
  WipedBytes decompressed_;
};

}  // namespace mvm::snapshot_file
