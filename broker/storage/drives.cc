#include "broker/storage/drives.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/derived.h"
#include "broker/beneath/beneath.h"
#include "drive/build.h"

namespace mvm::storage {
namespace {

constexpr long kRamfsMagic = 0x858458f6;  // linux/magic.h
constexpr std::string_view kUnfinished = ".new";
constexpr mode_t kOursAndGroups = 0660;  // the group's: for when the file is another's
constexpr std::array<std::uint8_t, drive::kBlock> kZeros{};

Status put(int file, std::span<const std::uint8_t> bytes, std::size_t at, const std::string& name) {
  const ssize_t wrote = pwrite(file, bytes.data(), bytes.size(), static_cast<off_t>(at));
  const int saved = errno;
  if (wrote < 0) return fail_errno(saved, "write the drive", name);
  return static_cast<std::size_t>(wrote) == bytes.size() ? Status{} : fail(Errc::kLimit, "write the drive", name);
}

// From nothing: what is not written is zero.
Status fill(int file, std::span<const std::uint8_t> drive, const std::string& name) {
  if (ftruncate(file, static_cast<off_t>(drive.size())) != 0) return fail_errno(errno, "size the drive", name);
  for (std::size_t at = 0; at < drive.size(); at += drive::kBlock) {
    const auto block = drive.subspan(at, std::min(drive::kBlock, drive.size() - at));
    if (std::ranges::all_of(block, [](std::uint8_t byte) { return byte == 0; })) continue;
    if (auto written = put(file, block, at, name); !written) return written;
  }
  return {};
}

Status wipe_file(int directory, const std::string& name) {
  const auto file = open_beneath(directory, name, O_RDWR | O_NOFOLLOW);
  if (!file && file.error().sys_errno == ENOENT) return {};
  if (!file) return forward(file.error());
  for (std::size_t at = 0; at < drive::kDriveBytes; at += kZeros.size()) {
    if (auto over = put(file->get(), kZeros, at, name); !over) return over;
  }
  if (unlinkat(directory, name.c_str(), 0) != 0) return fail_errno(errno, "remove the drive", name);
  return {};
}

std::unexpected<Error> taken_or(int saved, const char* tried, const std::string& name) {
  return saved == EEXIST ? fail(Errc::kExists, tried, name) : fail_errno(saved, tried, name);
}

std::string name_of(const Subject& instance, std::string_view kind) { return memory_name(instance) + "." + std::string(kind); }

}  // namespace

Result<Drives> Drives::make(Fd directory) {
  struct statfs where {};
  if (fstatfs(directory.get(), &where) != 0) return fail_errno(errno, "look at the file system of drives");
  if (where.f_type != kRamfsMagic) return fail(Errc::kDenied, "keep drives on what is no ramfs: their content could reach a disk (start var-lib-mvm-drives.mount)");
  return Drives(std::move(directory));
}

Status Drives::write(const Subject& instance, std::string_view kind, std::span<const std::uint8_t> drive) const {
  const auto names = names_in(directory_.get());
  if (!names) return forward(names.error());
  if (names->size() >= kMaxDrives) return fail(Errc::kLimit, "make one more drive than 2048", to_string(instance));
  const std::string name = name_of(instance, kind), unfinished = name + std::string(kUnfinished);
  const Fd file(openat(directory_.get(), unfinished.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, kOursAndGroups));
  const int saved = errno;
  if (!file.valid()) return taken_or(saved, "create the drive", unfinished);
  const auto made = [&]() -> Status {
    if (auto filled = fill(file.get(), drive, unfinished); !filled) return filled;
    if (renameat2(directory_.get(), unfinished.c_str(), directory_.get(), name.c_str(), RENAME_NOREPLACE) != 0) return taken_or(errno, "name the drive", name);
    return {};
  }();
  if (made) return made;
  Error error = made.error();
  if (auto gone = wipe_file(directory_.get(), unfinished); !gone) error.tried += "; and wiping it failed: " + gone.error().message();
  return forward(std::move(error));
}

Status Drives::wipe(const Subject& instance, std::string_view kind) const {
  const std::string name = name_of(instance, kind);
  if (auto wiped = wipe_file(directory_.get(), name); !wiped) return wiped;
  return wipe_file(directory_.get(), name + std::string(kUnfinished));
}

Result<std::vector<FoundDrive>> Drives::list(std::string_view kind) const {
  const auto names = names_in(directory_.get());
  if (!names) return forward(names.error());
  const std::string suffix = "." + std::string(kind);
  std::vector<FoundDrive> found;
  for (std::string_view name : *names) {
    const bool whole = !name.ends_with(kUnfinished);
    if (!whole) name.remove_suffix(kUnfinished.size());
    if (!name.ends_with(suffix)) continue;
    name.remove_suffix(suffix.size());
    if (const auto instance = instance_of_memory(name)) found.push_back({*instance, whole});
  }
  return found;
}

}  // namespace mvm::storage
