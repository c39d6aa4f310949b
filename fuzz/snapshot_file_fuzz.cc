// The plaintext parsers of a snapshot file. In a file all of this is sealed, and a reader takes nothing that did not verify but the
// header, which it has to read first; still, whatever the bytes are: nothing is read beyond them, and what is taken has one spelling.
#include <cstdint>
#include <span>
#include <vector>

#include "fuzz/check.h"
#include "snapshot-file/chunk.h"
#include "snapshot-file/index.h"

namespace {

using namespace mvm;
using namespace mvm::snapshot_file;
using fuzz::must;

void try_header(std::span<const std::uint8_t> bytes) {
  const auto header = decode_header(bytes);
  if (!header) return;
  const auto again = encode(*header);
  must(std::equal(again.begin(), again.end(), bytes.begin(), bytes.end()), "a header has one spelling");
  must(header->memory_chunks() <= kMaxChunks && header->first <= kMaxFirst && header->state <= kMaxState, "a header is within its limits");
  must(header->index_bytes() <= 4 * (std::size_t{kMaxChunks} + kMaxState / kMinChunk + kMaxFirst), "an index is bounded");
}

void try_index(std::span<const std::uint8_t> bytes) {
  Header header;
  header.chunk = kMinChunk;
  header.memory = 8 * kMinChunk;
  header.state = 2 * kMinChunk;
  header.first = bytes.size() > 40 ? static_cast<std::uint32_t>(bytes.size() / 4 - 10) : 0;
  const auto index = decode_index(header, bytes);
  if (!index) return;
  must(encode(*index) == std::vector<std::uint8_t>(bytes.begin(), bytes.end()), "an index has one spelling");
  const auto at = places(*index);
  for (std::size_t i = 0; i + 1 < at.size(); ++i) must(at[i] <= at[i + 1] && at[i + 1] - at[i] <= max_packed(header.chunk) + kTagBytes, "chunks do not overlap");
}

void try_chunk(std::span<const std::uint8_t> bytes, Kind kind) {
  Unpacker unpacker(kind, 16'384);
  const auto chunk = unpacker.unpack(bytes);
  if (!chunk) return;
  std::size_t data = 0;
  for (const PageIs page : chunk->pages) {
    must(page != PageIs::kInBase || kind == Kind::kDiff, "only a diff has a base");
    data += page == PageIs::kData;
  }
  must(chunk->data.size() == data * kPage, "there are as many pages as the map says");
  const std::vector<std::uint8_t> copied(chunk->data.begin(), chunk->data.end());  // all of it is there to be read
  must(copied.size() == chunk->data.size(), "a chunk can be copied");
}

}  // namespace

// The first byte says which; the rest is its bytes.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::span bytes(data + 1, size - 1);
  switch (data[0]) {
    case 'h': try_header(bytes); break;
    case 'i': try_index(bytes); break;
    case 'f': try_chunk(bytes, Kind::kFull); break;
    case 'd': try_chunk(bytes, Kind::kDiff); break;
    case 's': (void)Unpacker(Kind::kFull, 16'384).unpack_bytes(bytes, size > 1 ? data[1] * 64u : 0); break;
    default: break;
  }
  return 0;
}
