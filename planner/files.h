// Whole small files, read and written the careful way. Regular files only, no symlink followed at the last step.
// Proven by: tests/planner/desired_test.cc.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace mvm::planner {

// At most `limit` bytes; one more is kLimit. `directory` is a descriptor, or AT_FDCWD.
[[nodiscard]] Result<std::string> read_file(int directory, const std::string& path, std::size_t limit);
// By a new file and rename(2), so that a reader sees the old or the new. `mode` is what it gets, whatever the umask.
[[nodiscard]] Status replace_file(const std::string& path, std::string_view bytes, unsigned mode);
// Success where it is not there.
[[nodiscard]] Status remove_file(const std::string& path);
// Fails with EEXIST where it is there already: a key is never overwritten. `mode` likewise.
[[nodiscard]] Status create_file(const std::string& path, std::string_view bytes, unsigned mode);

}  // namespace mvm::planner
