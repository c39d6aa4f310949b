// Files of hostd's own, below directories that it holds. Names are single components that we made; nothing is followed.
// Owns nothing. Proven by: tests/supervisor/records_test.cc.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/fd.h"

namespace mvm::supervisor {

// What must be there: after a crash of ours it, and after a power cut it or an empty file; after a power cut it or what was there before; or after a
// power cut it.
enum class Keep : std::uint8_t { kOverCrash, kOldOrNew, kOverPowerCut };

// The name that a file has until it is whole. Left over by a crash; nobody reads it.
inline constexpr std::string_view kUnfinishedName = ".new";

// Whole or not at all: written under kUnfinishedName and renamed. Mode 0600.
[[nodiscard]] Status write_file(const Fd& directory, const std::string& name, std::string_view content, Keep keep);
// kNotFound where there is none, kLimit where it is longer than `limit`, kDenied where it is no regular file.
[[nodiscard]] Result<std::string> read_file(const Fd& directory, const std::string& name, std::size_t limit);
// What is not there is removed already.
[[nodiscard]] Status remove_file(const Fd& directory, const std::string& name, Keep keep);
// Names in the directory but ".", ".." and kUnfinishedName, sorted; kLimit above `limit`.
[[nodiscard]] Result<std::vector<std::string>> list_directory(const Fd& directory, std::size_t limit);
// Opens a file of ours to be written at its end or in place.
[[nodiscard]] Result<Fd> open_file(const Fd& directory, const std::string& name, int flags);
[[nodiscard]] Status write_all(const Fd& fd, std::string_view content, std::string_view on);

}  // namespace mvm::supervisor
