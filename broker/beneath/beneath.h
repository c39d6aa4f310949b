// Files and directories, opened only below a directory that is held, and never through a symlink (openat2(2)). What is in
// a jail was left by a VMM that may be hostile, so nothing here trusts a name twice.
// Owns nothing. Proven by: tests/beneath/beneath_test.cc.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/fd.h"

namespace mvm {

enum class Mounts : std::uint8_t {
  kStay,   // a mount point on the way is an error
  kCross,  // the images may be a file system of their own
};

// RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS; O_CLOEXEC is added. `path` is relative.
[[nodiscard]] Result<Fd> open_beneath(int directory, const std::string& path, std::uint64_t flags, Mounts mounts = Mounts::kStay);
// The same for a path from the root, which may cross mounts. kDenied: the path is not absolute.
[[nodiscard]] Result<Fd> open_absolute(const std::string& path, std::uint64_t flags);

// Makes what is missing of `names`, one below the other, 0700, and opens the last. kDenied: one that was there is not
// our user's alone.
[[nodiscard]] Result<Fd> make_directories(int directory, std::span<const std::string> names);

// The names in an open directory, without . and ..; the descriptor stays the caller's.
[[nodiscard]] Result<std::vector<std::string>> names_in(int directory);
// At most `most` bytes; kLimit where there is more.
[[nodiscard]] Result<std::string> read_all(int file, std::size_t most);
[[nodiscard]] Result<std::string> read_file(int directory, const std::string& path, std::size_t most);
// One write(2), as the kernel's files want it. Never creates.
[[nodiscard]] Status write_file(int directory, const std::string& path, std::string_view text);

// fsync(2); `on` is what an error names.
[[nodiscard]] Status sync(int fd, const std::string& on);

// Removes `name` and all below it, of whatever kind, however deep; what is not there is success. Follows no symlink, leaves
// mounts alone (EBUSY), and holds at most kMaxOpenLevels descriptors: what lies deeper is moved up first.
inline constexpr std::size_t kMaxOpenLevels = 16;
[[nodiscard]] Status remove_tree(int directory, const std::string& name);

// Removes the directories a/b/c, then a/b, then a, as far as they are empty.
void prune(int directory, std::span<const std::string> names);

}  // namespace mvm
