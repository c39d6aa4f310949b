// Secrets that the sealing side reads from files, into secret memory and nowhere else.
// Owns nothing. Proven by: tests/cli/cli_test.cc.
#pragma once

#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/secret.h"

namespace mvm::cli {

// A regular file that its owner alone may read, or "-": standard input. kDenied: another.
[[nodiscard]] Result<Fd> open_secret(const std::string& path);
// Until its end: how many bytes. kLimit: there are more than `room` has.
[[nodiscard]] Result<std::size_t> read_into(const Fd& file, std::span<std::uint8_t> room, const std::string& path);
// open_secret(), and all of it. kLimit: more than `limit` bytes, or none.
[[nodiscard]] Result<Secret> read_secret(const SecretArena& arena, const std::string& path, std::size_t limit);

[[nodiscard]] inline std::string_view text_of(std::span<const std::uint8_t> bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

}  // namespace mvm::cli
