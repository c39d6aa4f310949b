// Files of an image, each checked as it is copied. Owns nothing. Proven by: tests/images/store_test.cc.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/digest.h"
#include "base/error.h"
#include "base/fd.h"

namespace mvm::images {

// A regular file, no symlink. kNotFound where there is none.
[[nodiscard]] Result<Fd> open_regular(int directory, const std::string& name);
[[nodiscard]] Result<std::uint64_t> size_of(int file, const std::string& name);
[[nodiscard]] Result<std::string> read_small(int directory, const std::string& name, std::size_t limit);
// A new file of that name, for us alone until it is whole.
[[nodiscard]] Result<Fd> create(int directory, const std::string& name);
// Exactly `bytes` bytes, with holes where the source has zeros; the digest is of what was written. kCorrupt: it is not as long.
[[nodiscard]] Result<Digest> copy(int from, int to, std::uint64_t bytes);
[[nodiscard]] Result<Digest> digest_of(int file, std::uint64_t bytes);
[[nodiscard]] Status write_whole(int file, std::string_view content);
// 0444, and on the disk for good.
[[nodiscard]] Status seal(int file, const std::string& name);
[[nodiscard]] Status sync_directory(int directory);

}  // namespace mvm::images
