// A snapshot file's header: whose it is, what it fits, how its chunks lie, and its wrapped data key. docs/snapshot-format.md
// says each byte. Pure.
// What is decoded has the right form and is within the limits; it is authentic only once unwrap() or Reader::open() has said so.
// Proven by: tests/snapshot-file/header_test.cc, fuzz/snapshot_file_fuzz.cc.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/digest.h"
#include "base/error.h"
#include "base/ids.h"

namespace mvm::snapshot_file {

inline constexpr std::size_t kPage = 4096;
inline constexpr std::size_t kKeyBytes = 32;
inline constexpr std::size_t kNonceBytes = 12;
inline constexpr std::size_t kTagBytes = 16;
inline constexpr std::size_t kWrappedBytes = kNonceBytes + kKeyBytes + kTagBytes;
inline constexpr std::size_t kHeaderBytes = 376;
inline constexpr std::uint32_t kVersion = 1;

inline constexpr std::uint32_t kMinChunk = 4096;
inline constexpr std::uint32_t kUsualChunk = 65'536;
inline constexpr std::uint32_t kMaxChunk = 1 << 20;
inline constexpr std::uint32_t kMaxChunks = 1 << 20;         // of memory; so an index is never above 4.3 MiB
inline constexpr std::uint64_t kMaxMemory = std::uint64_t{kMaxChunks} * kMaxChunk;
static_assert(kMaxMemory == std::uint64_t{1} << 40, "the language's 1 TiB");
inline constexpr std::uint64_t kMaxState = 64ULL << 20;      // bytes of Firecracker's own state
inline constexpr std::uint32_t kMaxFirst = 1 << 16;          // chunks that are served before any fault

using Key = std::span<const std::uint8_t, kKeyBytes>;

// kBase: a pool's, which diffs stand on: memory alone, so that nothing can be resumed of it.
enum class Kind : std::uint8_t { kFull, kDiff, kBase };
enum class Compression : std::uint8_t { kNone, kZstd };

// The drives that the microVM had besides its root file system, as bits: data 1, secrets 2, config 4.
inline constexpr std::uint8_t kAllDrives = 7;

// What a microVM must find again to go on. Digests, so that what differs can be named and nothing need be parsed.
struct Compatibility {
  Digest image;   // of the image's manifest, as in the jail's line
  Digest vmm;     // of Firecracker's version
  Digest kernel;  // of the host kernel's release and version
  Digest cpu;     // of the host CPU's model and features
  bool operator==(const Compatibility&) const = default;
};

struct Header {
  Subject instance;  // of kind kInstance; of a base, its pool
  Kind kind = Kind::kFull;
  Compression compression = Compression::kZstd;
  std::uint8_t drives = 0;        // what it had, and has to find again
  std::uint32_t seq = 0;          // which sleep it is, as in its line; of a base 0
  std::uint32_t key_version = 0;  // of the tenant key that wraps the data key
  Digest line;                    // of its line in the state: of a snapshot, what boot=snapshot: names
  Digest base;                    // file digest of the base of a diff; zero for all else
  Compatibility fits;             // of a base the image alone, and the rest zero
  std::uint64_t memory = 0;  // bytes, a multiple of chunk
  std::uint32_t chunk = 0;   // bytes, a power of two
  std::uint32_t first = 0;   // how many chunks the index names to be served first
  std::uint64_t state = 0;   // bytes of Firecracker's state; of a base 0
  std::array<std::uint8_t, kWrappedBytes> wrapped{};  // nonce, data key, tag
  bool operator==(const Header&) const = default;

  [[nodiscard]] std::uint32_t memory_chunks() const { return static_cast<std::uint32_t>(memory / chunk); }
  [[nodiscard]] std::uint32_t state_chunks() const { return static_cast<std::uint32_t>((state + chunk - 1) / chunk); }
  [[nodiscard]] std::size_t index_bytes() const { return 4 * (std::size_t{memory_chunks()} + state_chunks() + first); }
};

// The smallest chunk, from kUsualChunk, with which that memory has at most kMaxChunks.
[[nodiscard]] std::uint32_t chunk_for(std::uint64_t memory);

// kLimit or kMalformed where a field is out of its bounds: what is decoded has passed this, and what is written has to.
[[nodiscard]] Status check(const Header& header);
[[nodiscard]] std::array<std::uint8_t, kHeaderBytes> encode(const Header& header);
// Takes only what encode() gives.
[[nodiscard]] Result<Header> decode_header(std::span<const std::uint8_t> bytes);

}  // namespace mvm::snapshot_file
