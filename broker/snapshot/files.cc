#include "broker/snapshot/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>

#include "base/derived.h"
#include "broker/beneath/beneath.h"
#include "broker/beneath/pools.h"
#include "snapshot-file/header.h"

namespace mvm::snapshot {
namespace {

constexpr std::string_view kWholeSuffix = ".snap", kBegunSuffix = ".new";
constexpr std::size_t kWrappedAt = snapshot_file::kHeaderBytes - snapshot_file::kWrappedBytes;

constexpr std::string_view kBaseName = "base";  // no instance is named so

std::string file_name(const Subject& whose, std::string_view suffix) {
  return (whose.kind == SubjectKind::kPool ? std::string(kBaseName) : to_string(whose.instance)) + std::string(suffix);
}

enum class Kind : std::uint8_t { kDirectory, kFile };

// Looked at each time, and by what is open: whatever a name leads to now is what is meant.
Status check_ours(int fd, Kind kind, const std::string& name) {
  struct stat info {};
  if (fstat(fd, &info) != 0) return fail_errno(errno, "fstat", name);
  const bool right = kind == Kind::kDirectory ? S_ISDIR(info.st_mode) : S_ISREG(info.st_mode) && info.st_nlink == 1;
  if (!right || info.st_uid != geteuid() || (info.st_mode & 077) != 0) return fail(Errc::kDenied, "use what is not ours alone", name);
  return {};
}

Result<Fd> open_directory(int directory, const std::string& name) {
  auto below = open_beneath(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (!below && below.error().sys_errno == ENOENT) return fail(Errc::kNotFound, "find the snapshot", name);
  if (!below) return below;
  if (auto ours = check_ours(below->get(), Kind::kDirectory, name); !ours) return forward(ours.error());
  return below;
}

Result<Fd> open_pool(int root, const Subject& whose) {
  const auto tenant = open_directory(root, std::string(whose.tenant.view()));
  if (!tenant) return forward(tenant.error());
  return open_directory(tenant->get(), std::string(whose.pool.view()));
}

Result<Fd> open_file(int pool, const std::string& name, int flags) {
  auto file = open_beneath(pool, name, static_cast<std::uint64_t>(flags) | O_NOFOLLOW);
  if (!file && file.error().sys_errno == ENOENT) return fail(Errc::kNotFound, "find the snapshot", name);
  if (!file) return file;
  if (auto ours = check_ours(file->get(), Kind::kFile, name); !ours) return forward(ours.error());
  return file;
}

// An entry outlives a power cut when its directory is synced, and so does a directory that was made for it.
Status sync_directories(int root, const Subject& whose) {
  const auto tenant = open_directory(root, std::string(whose.tenant.view()));
  if (!tenant) return forward(tenant.error());
  const auto pool = open_directory(tenant->get(), std::string(whose.pool.view()));
  if (!pool) return forward(pool.error());
  for (const int each : {pool->get(), tenant->get(), root}) {
    if (auto synced = sync(each, "snapshots"); !synced) return synced;
  }
  return {};
}

using Wrapped = std::array<std::uint8_t, snapshot_file::kWrappedBytes>;

Good state_of(int file) {
  Wrapped wrapped{};
  const ssize_t got = pread(file, wrapped.data(), wrapped.size(), kWrappedAt);
  if (got != static_cast<ssize_t>(wrapped.size())) return Good::kNo;
  return std::ranges::all_of(wrapped, [](std::uint8_t byte) { return byte == 0; }) ? Good::kNo : Good::kYes;
}

// In place, so that it is gone from the disk as far as the file system and the disk write in place. A file that is shorter has no key.
Status overwrite_key(int file, const std::string& name) {
  static constexpr Wrapped kNothing{};
  struct stat info {};
  if (fstat(file, &info) != 0) return fail_errno(errno, "fstat", name);
  if (info.st_size < static_cast<off_t>(snapshot_file::kHeaderBytes)) return {};
  const ssize_t wrote = pwrite(file, kNothing.data(), kNothing.size(), kWrappedAt);
  const int saved = errno;
  if (wrote != static_cast<ssize_t>(kNothing.size())) return fail_errno(saved, "overwrite the wrapped key", name);
  if (fdatasync(file) != 0) return fail_errno(errno, "sync", name);
  return {};
}

Status remove(int pool, const std::string& name) {
  const auto file = open_file(pool, name, O_RDWR);
  if (!file && file.error().code == Errc::kNotFound) return {};
  if (!file) return forward(file.error());
  if (auto spent = overwrite_key(file->get(), name); !spent) return spent;
  if (unlinkat(pool, name.c_str(), 0) != 0) return fail_errno(errno, "remove the snapshot", name);
  return sync(pool, name);
}

// Whose file that is, by its name.
std::optional<Subject> owner_of(const PoolFiles& files, std::string_view name, std::string_view suffix) {
  if (!name.ends_with(suffix)) return std::nullopt;
  const std::string_view stem = name.substr(0, name.size() - suffix.size());
  if (stem == kBaseName) return pool_subject(files.tenant, files.pool);
  const auto id = InstanceId::from(stem);
  return id ? std::optional(instance_subject(files.tenant, files.pool, *id)) : std::nullopt;
}

}  // namespace

Result<Fd> Files::begin(const Subject& whose) const {
  const auto names = directories_of(whose);
  const auto pool = make_directories(directory_.get(), names);
  if (!pool) return forward(pool.error());
  if (auto old = open_file(pool->get(), file_name(whose, kWholeSuffix), O_RDONLY); old || old.error().code != Errc::kNotFound) {
    return fail(Errc::kExists, "seal a snapshot where there is one", to_string(whose));
  }
  const std::string name = file_name(whose, kBegunSuffix);
  if (auto gone = remove(pool->get(), name); !gone) return forward(gone.error());
  Fd file(openat(pool->get(), name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  const int saved = errno;
  if (!file.valid()) return fail_errno(saved, "create", name);
  return file;
}

Status Files::keep(const Subject& whose) const {
  const auto pool = open_pool(directory_.get(), whose);
  if (!pool) return forward(pool.error());
  const std::string begun = file_name(whose, kBegunSuffix), whole = file_name(whose, kWholeSuffix);
  if (renameat2(pool->get(), begun.c_str(), pool->get(), whole.c_str(), RENAME_NOREPLACE) != 0) return fail_errno(errno, "name the snapshot", whole);
  return sync_directories(directory_.get(), whose);
}

void Files::give_up(const Subject& whose) const {
  const auto pool = open_pool(directory_.get(), whose);
  if (!pool) return;
  (void)remove(pool->get(), file_name(whose, kBegunSuffix));
  prune(directory_.get(), directories_of(whose));
}

Result<Fd> Files::open(const Subject& whose) const {
  const auto pool = open_pool(directory_.get(), whose);
  if (!pool) return forward(pool.error());
  auto file = open_file(pool->get(), file_name(whose, kWholeSuffix), O_RDONLY);
  if (file && state_of(file->get()) == Good::kNo) return fail(Errc::kCorrupt, "open a snapshot that is spent", to_string(whose));
  return file;
}

Status Files::spend(const Subject& whose) const {
  const auto pool = open_pool(directory_.get(), whose);
  if (!pool) return forward(pool.error());
  const std::string name = file_name(whose, kWholeSuffix);
  const auto file = open_file(pool->get(), name, O_RDWR);
  if (!file) return forward(file.error());
  return overwrite_key(file->get(), name);
}

Status Files::destroy(const Subject& whose) const {
  const auto pool = open_pool(directory_.get(), whose);
  if (!pool && pool.error().code == Errc::kNotFound) return {};
  if (!pool) return forward(pool.error());
  for (const std::string_view suffix : {kWholeSuffix, kBegunSuffix}) {
    if (auto gone = remove(pool->get(), file_name(whose, suffix)); !gone) return gone;
  }
  prune(directory_.get(), directories_of(whose));
  return sync(directory_.get(), "snapshots");
}

Result<std::vector<FoundSnapshot>> Files::list() const {
  std::vector<FoundSnapshot> found;
  const auto looked = for_each_pool(directory_.get(), open_directory, [&](const PoolFiles& files) -> Status {
    for (const std::string& name : files.names) {
      const auto whole = owner_of(files, name, kWholeSuffix), begun = owner_of(files, name, kBegunSuffix);
      if (!whole && !begun) continue;
      const auto file = whole ? open_file(files.directory, name, O_RDONLY) : Result<Fd>(fail(Errc::kNotFound, name));
      found.push_back({whole ? *whole : *begun, file ? state_of(file->get()) : Good::kNo});
    }
    return {};
  });
  if (!looked) return forward(looked.error());
  return found;
}

}  // namespace mvm::snapshot
