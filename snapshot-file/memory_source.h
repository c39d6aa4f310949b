// Where the memory of a guest that is being sealed is read from: a file that it was written into, whose pages are given back as they are sealed; or the process that
// runs the guest, out of its address space (proc(5), mem), where it stays.
// Owns none of the descriptors. It is read by pread, never mapped: whose it is may be hostile, and may cut or write it meanwhile. Of a process only those pages are read
// that are there (proc(5), pagemap): what a guest never wrote, or gave up, is zeros, and reading it would cost page tables.
// Proven by: tests/snapshot-file/memory_source_test.cc, writer_test.cc.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/error.h"
#include "base/stretch.h"

namespace mvm::snapshot_file {

// Of a process that leaves it alone as long as it is read.
struct LiveMemory {
  int memory = -1;                       // its mem
  int pagemap = -1;                      // its pagemap; -1: a page that is not there need not be zeros
  std::array<Stretch, 2> stretches = {};  // in the guest's order; those of no bytes are none
};

// Reads the whole of what it is to fill. kMalformed: it ends before.
[[nodiscard]] Status read_at(int fd, std::span<std::uint8_t> into, std::uint64_t at, const char* what);

class MemorySource {
 public:
  // `live`: -1 is no file, and the memory is that of a process; it must outlive this. `size`: bytes.
  MemorySource(int file, const LiveMemory* live, std::uint64_t size) : file_(file), live_(live), size_(size) {}

  // kMalformed: it is not of that size, or its stretches are not of whole chunks.
  [[nodiscard]] Status check(std::uint32_t chunk) const;
  // True where [at, at + length), which is in one chunk, is zeros that need not be read. To be asked from the beginning to the end.
  [[nodiscard]] Result<bool> hole(std::uint64_t at, std::uint64_t length);
  [[nodiscard]] Status read(std::span<std::uint8_t> into, std::uint64_t at) const;
  // The file's alone: holes are punched, and its file system has the pages back.
  [[nodiscard]] Status give_back(std::uint64_t from, std::uint64_t to) const;

 private:
  [[nodiscard]] Status find_data(std::uint64_t at);
  [[nodiscard]] Status look_up_pages(std::uint64_t at);
  // Where the process has it, and how much of it lies behind there in the same stretch.
  [[nodiscard]] Stretch address_of(std::uint64_t at) const;

  int file_;
  const LiveMemory* live_;
  std::uint64_t size_;
  std::uint64_t begin_ = 0, end_ = 0;   // of a file: the extent of data that was found last
  std::uint64_t first_page_ = 0;        // of a process: whose entry pages_ begins with
  std::vector<std::uint64_t> pages_;
};

}  // namespace mvm::snapshot_file
