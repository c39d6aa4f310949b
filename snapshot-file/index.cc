#include "snapshot-file/index.h"

#include "snapshot-file/bytes.h"
#include "snapshot-file/chunk.h"

namespace mvm::snapshot_file {
namespace {

std::unexpected<Error> malformed(const char* what) { return fail(Errc::kMalformed, "read a snapshot's index", what); }

Status check_length(std::uint32_t length, std::uint32_t chunk) {
  const std::size_t least = head_bytes(chunk) + kTagBytes, most = max_packed(chunk) + kTagBytes;
  if (length < least || length > most) return fail(Errc::kMalformed, "read a snapshot's index", "length");
  return {};
}

}  // namespace

std::vector<std::uint8_t> encode(const Index& index) {
  std::vector<std::uint8_t> bytes(4 * (index.lengths.size() + index.first.size()));
  Put put(bytes.data());
  for (const auto* numbers : {&index.lengths, &index.first}) {
    for (const std::uint32_t each : *numbers) put.number(each);
  }
  return bytes;
}

Result<Index> decode_index(const Header& header, std::span<const std::uint8_t> bytes) {
  if (bytes.size() != header.index_bytes()) return malformed("size");
  const std::uint32_t memory = header.memory_chunks(), state = header.state_chunks();
  Get get(bytes.data());
  Index index;
  index.lengths.resize(std::size_t{memory} + state);
  for (std::size_t i = 0; i < index.lengths.size(); ++i) {
    const std::uint32_t length = index.lengths[i] = get.number<std::uint32_t>();
    if (length == 0 && i < memory) continue;
    if (auto ok = check_length(length, header.chunk); !ok) return forward(std::move(ok.error()));
  }
  std::vector<bool> named(memory);
  index.first.resize(header.first);
  for (std::uint32_t& each : index.first) {
    each = get.number<std::uint32_t>();
    if (each >= memory) return malformed("a first chunk that is none");
    if (named[each]) return malformed("a first chunk that stands twice");
    named[each] = true;
  }
  return index;
}

std::vector<std::uint64_t> places(const Index& index) {
  std::vector<std::uint64_t> found;
  found.reserve(index.lengths.size() + 1);
  std::uint64_t at = kHeaderBytes;
  found.push_back(at);
  for (const std::uint32_t length : index.lengths) found.push_back(at += length);
  return found;
}

}  // namespace mvm::snapshot_file
