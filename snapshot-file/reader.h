// Opens a snapshot file and gives its chunks, each by one read. Everything that it gives has been authenticated: a byte that was changed, cut,
// put in, swapped or repeated is kCorrupt. That it is the newest, and the one that was asked for, check_expected() says.
// Owns the descriptor, the key's schedule and two chunks. Reads by pread alone, and does nothing to the file.
// Proven by: tests/snapshot-file/file_test.cc (every byte flipped, every length cut, chunks swapped).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/digest.h"
#include "base/error.h"
#include "base/fd.h"
#include "snapshot-file/chunk.h"
#include "snapshot-file/crypto.h"
#include "snapshot-file/header.h"
#include "snapshot-file/index.h"

namespace mvm::snapshot_file {

// What the record says of the snapshot, and what the host is.
struct Expected {
  Subject instance;
  Digest line;  // with it kind, key, compression, slot and seq
  Digest file;  // of the newest
  Compatibility fits;
  std::uint8_t drives = 0;  // that it would find
};

// The header as it stands, of the right form but not authentic yet: what unwrap() is given.
[[nodiscard]] Result<Header> read_header(int fd);

class Reader {
 public:
  // kCorrupt: not a file that this key sealed, or not all of it, or more than it.
  [[nodiscard]] static Result<Reader> open(Fd file, Key data_key);

  [[nodiscard]] const Header& header() const { return header_; }
  [[nodiscard]] const Digest& digest() const { return digest_; }
  [[nodiscard]] std::span<const std::uint32_t> first() const { return index_.first; }
  // Whether the file holds a byte of that chunk: if not, it is all zeros, or all the base's.
  [[nodiscard]] bool holds(std::uint32_t chunk) const { return index_.lengths[chunk] != 0; }
  // Valid until the next call. `number` is below header().memory_chunks().
  [[nodiscard]] Result<Unpacked> chunk(std::uint32_t number);
  // All of Firecracker's state. It is as secret as the memory.
  [[nodiscard]] Result<WipedBytes> state();

 private:
  Reader(Fd file, const Header& header, PartCipher cipher);
  Status open_index(std::span<const std::uint8_t> head, std::uint64_t size);
  Result<std::span<std::uint8_t>> part(Part part, std::uint32_t number, std::uint32_t count, std::size_t place);
  Fd file_;
  Header header_;
  PartCipher cipher_;
  Unpacker unpacker_;
  Index index_;
  std::vector<std::uint64_t> places_;
  WipedBytes sealed_;
  Digest digest_;
};

// kDenied, and why, where that is no base that the diff stands on: another than it names, no base at all, of another pool, image or shape.
[[nodiscard]] Status check_base(const Header& diff, const Reader& base);

// kDenied, and which it is, where something is not as expected.
[[nodiscard]] Status check_expected(const Header& header, const Digest& file, const Expected& expected);

}  // namespace mvm::snapshot_file
