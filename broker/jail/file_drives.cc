#include "broker/jail/file_drives.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/derived.h"
#include "broker/beneath/beneath.h"

namespace mvm::jail {
namespace {

constexpr gid_t kSameGroup = static_cast<gid_t>(-1);
constexpr mode_t kReadByOwner = 0460;  // and wiped by its group, the storage worker's

// A mode is the owner's to set, and a mode that its owner could write by must not be there when it has another.
Status give(int file, uid_t uid, const std::string& path) {
  if (fchown(file, 0, kSameGroup) != 0) return fail_errno(errno, "take the drive", path);
  if (fchmod(file, kReadByOwner) != 0) return fail_errno(errno, "close the drive", path);
  if (fchown(file, uid, kSameGroup) != 0) return fail_errno(errno, "give the drive away", path);
  return {};
}

}  // namespace

std::string file_drive_path(const Subject& instance, const char* name) { return "drives/" + memory_name(instance) + "." + name; }

Status give_file_drive(int state, int root, const Subject& instance, const char* name, uid_t uid) {
  const std::string path = file_drive_path(instance, name);
  const auto file = open_beneath(state, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, Mounts::kCross);
  if (!file && file.error().sys_errno == ENOENT) return fail(Errc::kNotFound, "find the drive", path);
  if (!file) return forward(file.error());
  struct stat info {};
  if (fstat(file->get(), &info) != 0) return fail_errno(errno, "look at the drive", path);
  if (!S_ISREG(info.st_mode)) return fail(Errc::kDenied, "give a drive away that is no file", path);
  if (auto given = give(file->get(), uid, path); !given) return given;
  const Fd place(openat(root, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0400));
  const int saved = errno;
  return place.valid() ? Status{} : fail_errno(saved, "make the drive's place", name);
}

}  // namespace mvm::jail
