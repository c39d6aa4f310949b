// A list of files as an ext4 file system in memory, by libext2fs and no process: 128 blocks of 4096 bytes whatever is in it, the
// same bytes each time. No journal, no checksums; root of the guest owns all; files have one extent each.
// What files hold is put into `drive` by ourselves, and never passes through the library or the heap.
// Pure. Proven by: tests/drive/build_test.cc (e2fsck, debugfs and the kernel read it), fuzz/drive_fuzz.cc, bench/drive_bench.cc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/digest.h"
#include "drive/files.h"

namespace mvm::drive {

inline constexpr std::size_t kBlock = 4096;
inline constexpr std::size_t kDriveBytes = 128 * kBlock;

struct Look {
  std::string_view label;  // the volume's, at most 16 bytes: the guest finds it by that
  Digest digest;           // of the content; the file system's uuid is its first 16 bytes
  std::uint16_t mode;      // of the files
};
inline constexpr std::string_view kSecretsLabel = "secrets", kConfigLabel = "config";
inline constexpr std::uint16_t kSecretsMode = 0400, kConfigMode = 0444;

// `drive`: exactly kDriveBytes; all of it is written. `files`: as read_files() gives them. kLimit: they do not fit, which the
// limits of read_files() rule out.
[[nodiscard]] Status build(std::span<const File> files, const Look& look, std::span<std::uint8_t> drive);

}  // namespace mvm::drive
