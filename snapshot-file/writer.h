// Seals a memory image and Firecracker's state into a snapshot file, or a full snapshot's memory again into a base, as it goes: a chunk is read, compressed, sealed and written, and the
// source's pages are given back. Memory stays bounded whatever the guest's size: three chunks, a write buffer, and 4 bytes a chunk.
// Owns nothing of its caller's; touches the descriptors it is given. Whoever wrote the image may be hostile and may cut it or write it while it is read, and
// gets a file of whatever it wrote, or an error.
// Proven by: tests/snapshot-file/writer_test.cc, file_test.cc.
#pragma once

#include <cstdint>
#include <span>

#include "base/digest.h"
#include "base/error.h"
#include "base/secret.h"
#include "snapshot-file/header.h"
#include "snapshot-file/memory_source.h"
#include "snapshot-file/reader.h"

namespace mvm::snapshot_file {

// What becomes of a part of the memory image that has been sealed.
enum class Consumed : std::uint8_t { kKept, kFreed };  // kFreed: holes are punched (fallocate(2)), so a memory file system has it back

struct Source {
  int memory = -1;  // of header.memory bytes; holes are zeros
  const LiveMemory* live = nullptr;  // in place of that file: the same of a process, which keeps it
  int state = -1;   // of header.state bytes
  std::span<const std::uint32_t> first = {};  // chunks to be served first; header.first follows from it
  Consumed consumed = Consumed::kFreed;
  Reader* base = nullptr;    // of a diff, and of it alone: pages that are as they are there are left to it
  Reader* copied = nullptr;  // of a base, and of it alone: the full snapshot whose memory it is, in place of the two files
};

struct Sealed {
  Digest file;  // SHA-256 of header and sealed index: what a record holds of the newest
  std::uint64_t bytes = 0;
  Header header;  // as it was written, with the wrapped key
};

// `arena`: for the keys while it takes. `out`: empty, at its beginning. Returns once all is written and synced (fdatasync); the directory is the caller's to sync. On an error
// what is in `out` is no snapshot, and is the caller's to remove. kMalformed: the sources are not of the header's kind or sizes. kDenied: a diff's base is none of its, or a base's copy of another pool's, image's or shape's.
[[nodiscard]] Result<Sealed> seal(Header header, const Source& source, Key tenant_key, const SecretArena& arena, int out);

}  // namespace mvm::snapshot_file
