// What a secrets or config drive carries: a list of files, in the one way it is written. Its SHA-256 is the digest that the
// projection names. docs/drives.md has the format byte for byte.
//
//   "MVMFILE1"  count:u16  ( length of name:u8  name  length:u32  bytes ) x count      numbers are big-endian
//
// Pure: views into what is read, copies of nothing, so no secret is left behind. Proven by: tests/drive/files_test.cc,
// fuzz/drive_fuzz.cc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace mvm::drive {

inline constexpr std::size_t kMaxFiles = 64;
inline constexpr std::size_t kMaxFileName = 48;
inline constexpr std::size_t kMaxContent = 64 * 1024;  // bytes of all of it
inline constexpr std::string_view kMagic = "MVMFILE1";

struct File {
  std::string_view name;
  std::span<const std::uint8_t> bytes;
};

// A letter, digit or '_', then letters, digits and any of "._-"; at most kMaxFileName.
[[nodiscard]] bool is_file_name(std::string_view name);

// Views of `content`, which must outlive them. kMalformed: it is not of the form to the last byte; names must ascend, so that a
// list is written in one way. kLimit: it is too long, or has too many files.
[[nodiscard]] Result<std::vector<File>> read_files(std::span<const std::uint8_t> content);
// The inverse. `files` in any order; the same errors. How many bytes of `content` it is, which has room for kMaxContent.
[[nodiscard]] Result<std::size_t> write_files(std::vector<File> files, std::span<std::uint8_t> content);
// The same, for what is no secret.
[[nodiscard]] Result<std::vector<std::uint8_t>> write_files(std::vector<File> files);

}  // namespace mvm::drive
