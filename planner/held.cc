#include "planner/held.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>

namespace mvm::planner {

Result<Held> hold(std::string_view name, std::string path) {
  Fd fd(open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  const int saved = errno;
  if (!fd.valid()) return fail_errno(saved, "open the directory", path);
  return Held{name, std::move(path), std::move(fd)};
}

bool is_still_there(const Held& held) {
  struct stat opened {}, named {};
  return fstat(held.fd.get(), &opened) == 0 && stat(held.path.c_str(), &named) == 0 && opened.st_dev == named.st_dev &&
         opened.st_ino == named.st_ino;
}

std::string directory_of(const std::string& file) {
  const std::string directory = std::filesystem::path(file).parent_path().string();
  return directory.empty() ? "." : directory;
}

}  // namespace mvm::planner
