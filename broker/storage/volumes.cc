#include "broker/storage/volumes.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <optional>

#include "base/derived.h"
#include "broker/beneath/beneath.h"
#include "broker/beneath/pools.h"
#include "broker/storage/luks.h"

namespace mvm::storage {
namespace {

constexpr std::uint64_t kMib = 1 << 20;
// What stands behind the header of a volume whose data is on a device. A file with data has a MiB at least behind it, so the lengths tell them apart.
struct OnDevice {
  std::array<char, 8> magic;
  std::uint64_t mib;
  VolumeMark mark;              // stands on the device too
  std::array<char, 4064> name;  // below /dev, padded with zeros
};
static_assert(sizeof(OnDevice) == kLuksSectorBytes && kLuksSectorBytes < kMib);
constexpr std::array<char, 8> kOnDeviceMagic = {'m', 'v', 'm', 'o', 'n', 'd', 'e', 'v'};

constexpr std::string_view kOpenedSuffix = ".luks", kFreshSuffix = ".new";

std::string file_name(const Subject& instance, std::uint32_t version, Use use) {
  return to_string(instance.instance) + "." + std::to_string(version) + std::string(use == Use::kOpened ? kOpenedSuffix : kFreshSuffix);
}
std::string file_name(const FoundVolume& volume) { return file_name(volume.instance, volume.key_version, volume.use); }

// An entry outlives a power cut when its directory is synced; so does a directory that was made for it.
Status sync_directories(int root, const Subject& instance) {
  const std::string tenant(instance.tenant.view());
  for (const std::string& path : {tenant + "/" + std::string(instance.pool.view()), tenant, std::string(".")}) {
    const auto directory = open_beneath(root, path, O_RDONLY | O_DIRECTORY);
    if (!directory) return forward(directory.error());
    if (auto synced = sync(directory->get(), path); !synced) return synced;
  }
  return {};
}

Result<Fd> open_pool(int root, const Subject& instance) {
  auto pool = open_beneath(root, std::string(instance.tenant.view()) + "/" + std::string(instance.pool.view()), O_RDONLY | O_DIRECTORY);
  if (!pool && pool.error().sys_errno == ENOENT) return fail(Errc::kNotFound, "find the volume", to_string(instance));
  return pool;
}

Result<Fd> open_file(int pool, const std::string& name) {
  auto file = open_beneath(pool, name, O_RDWR | O_NOFOLLOW);
  if (!file && file.error().sys_errno == ENOENT) return fail(Errc::kNotFound, "find the volume", name);
  if (!file) return file;
  struct stat info {};
  if (fstat(file->get(), &info) != 0) return fail_errno(errno, "fstat", name);
  if (!S_ISREG(info.st_mode) || info.st_uid != geteuid() || (info.st_mode & 077) != 0 || info.st_nlink != 1) {
    return fail(Errc::kDenied, "use a volume that is not a file of our own", name);
  }
  return file;
}

// In place, so that what was there is gone from the disk as far as the file system and the disk write in place.
Status overwrite_header(int file, const std::string& name) {
  static constexpr std::array<char, 64 << 10> kZeros{};
  struct stat info {};
  if (fstat(file, &info) != 0) return fail_errno(errno, "fstat", name);
  const std::uint64_t end = std::min<std::uint64_t>(kLuksHeaderBytes, static_cast<std::uint64_t>(info.st_size));
  for (std::uint64_t at = 0; at < end;) {
    const ssize_t wrote = pwrite(file, kZeros.data(), std::min<std::uint64_t>(kZeros.size(), end - at), static_cast<off_t>(at));
    const int saved = errno;
    if (wrote < 0) return fail_errno(saved, "overwrite the keyslots", name);
    at += static_cast<std::uint64_t>(wrote);
  }
  return sync(file, name);
}

Result<std::uint64_t> length_of(int file) {
  struct stat info {};
  const int read = fstat(file, &info);
  const int saved = errno;
  if (read != 0) return fail_errno(saved, "fstat");
  return static_cast<std::uint64_t>(info.st_size);
}

// What it says of its device; nothing where its data is its own.
Result<std::optional<OnDevice>> device_named_in(int file) {
  const auto length = length_of(file);
  if (!length) return forward(length.error());
  if (*length != kLuksHeaderBytes + sizeof(OnDevice)) return std::optional<OnDevice>();
  OnDevice on{};
  if (lseek(file, static_cast<off_t>(kLuksHeaderBytes), SEEK_SET) < 0) return fail_errno(errno, "look behind the volume's header");
  const ssize_t got = read(file, &on, sizeof on);
  const int saved = errno;
  if (got < 0) return fail_errno(saved, "read which device a volume is on");
  if (got == sizeof on && on.magic == std::array<char, 8>{}) return std::optional<OnDevice>();  // it was never made whole
  const bool ours = got == sizeof on && on.magic == kOnDeviceMagic && on.mib != 0 && on.name.back() == '\0';
  return ours ? Result<std::optional<OnDevice>>(on) : fail(Errc::kCorrupt, "read which device a volume is on");
}

std::optional<FoundVolume> read_name(const Name& tenant, const Name& pool, std::string_view name) {
  const Use use = name.ends_with(kOpenedSuffix) ? Use::kOpened : Use::kNever;
  const std::string_view suffix = use == Use::kOpened ? kOpenedSuffix : kFreshSuffix;
  if (!name.ends_with(suffix)) return std::nullopt;
  name.remove_suffix(suffix.size());
  const std::size_t dot = name.find('.');
  if (dot == std::string_view::npos) return std::nullopt;
  const auto id = InstanceId::from(name.substr(0, dot));
  std::uint32_t version = 0;
  const auto read = std::from_chars(name.data() + dot + 1, name.data() + name.size(), version);
  if (!id || read.ec != std::errc() || read.ptr != name.data() + name.size() || version == 0) return std::nullopt;
  const FoundVolume found{instance_subject(tenant, pool, *id), use, version};
  return file_name(found).size() == name.size() + suffix.size() ? std::optional(found) : std::nullopt;
}

// All files of one instance: more than one only where somebody has put one there.
Result<std::vector<FoundVolume>> files_of(int pool, const Subject& instance) {
  const auto names = names_in(pool);
  if (!names) return forward(names.error());
  std::vector<FoundVolume> found;
  for (const std::string& name : *names) {
    const auto volume = read_name(instance.tenant, instance.pool, name);
    if (volume && volume->instance == instance) found.push_back(*volume);
  }
  return found;
}

Result<FoundVolume> file_of(int pool, const Subject& instance) {
  const auto found = files_of(pool, instance);
  if (!found) return forward(found.error());
  if (found->empty()) return fail(Errc::kNotFound, "find the volume", to_string(instance));
  if (found->size() > 1) return fail(Errc::kCorrupt, "use a volume that has two files", to_string(instance));
  return found->front();
}

Status rename(int pool, const FoundVolume& from, const FoundVolume& to) {
  const int renamed = renameat2(pool, file_name(from).c_str(), pool, file_name(to).c_str(), RENAME_NOREPLACE);
  const int saved = errno;
  if (renamed != 0) return fail_errno(saved, "name the volume", file_name(to));
  return sync(pool, file_name(to));
}

// The header takes the new key, and what both open is the same.
Status add_and_verify(int file, const Secret& from, const Secret& to, const SecretArena& arena, const std::string& name) {
  auto added = add_luks_key(file, from, to, arena);
  if (!added && added.error().code != Errc::kExists) return added;
  if (auto synced = sync(file, name); !synced) return synced;
  const auto before = unlock_luks(file, from, arena), after = unlock_luks(file, to, arena);
  if (!before || !after) return forward(!before ? before.error() : after.error());
  if (CRYPTO_memcmp(before->volume_key.bytes().data(), after->volume_key.bytes().data(), kVolumeKeyBytes) == 0) return {};
  return fail(Errc::kCorrupt, "see that the new key opens the same", name);
}

}  // namespace

Result<VolumeData> Volumes::data_of(int file) const {
  const auto on = device_named_in(file);
  if (!on) return forward(on.error());
  if (*on) {
    const PoolDevice* device = devices_.find((*on)->name.data());
    if (device == nullptr) return fail(Errc::kNotFound, "find the device of a volume in the policy", (*on)->name.data());
    if (device->bytes < kLuksHeaderBytes + (*on)->mib * kMib) return fail(Errc::kCorrupt, "use a device that is smaller than its volume", device->name);
    const auto ours = has_mark(*device, (*on)->mark);
    if (!ours) return forward(ours.error());
    if (!*ours) return fail(Errc::kDenied, "use a device that does not have this volume's mark", device->name);
    return VolumeData{device->fd.get(), (*on)->mib};
  }
  const auto length = length_of(file);
  if (!length) return forward(length.error());
  if (*length < kLuksHeaderBytes + kMib || *length % kMib != 0) return fail(Errc::kCorrupt, "take a volume whose file has another size");
  return VolumeData{file, (*length - kLuksHeaderBytes) / kMib};
}

Result<std::set<std::string>> Volumes::devices_in_use() const {
  std::set<std::string> used;
  const auto all = list();
  if (!all) return forward(all.error());
  for (const FoundVolume& each : *all) {
    const auto pool = open_pool(directory_.get(), each.instance);
    const auto file = pool ? open_file(pool->get(), file_name(each)) : Result<Fd>(forward(pool.error()));
    const auto on = file ? device_named_in(file->get()) : Result<std::optional<OnDevice>>(forward(file.error()));
    if (!on) return forward(on.error());
    if (*on) used.insert((*on)->name.data());
  }
  return used;
}

Status Volumes::sync_made(const Fd& file, const Subject& instance) const {
  if (auto synced = sync(file.get(), to_string(instance)); !synced) return synced;
  return sync_directories(directory_.get(), instance);
}

Status Volumes::make(const Fd& file, const Subject& instance, std::uint64_t mib, const Secret& key) const {
  const auto size = [&](std::uint64_t behind) -> Status {
    return ftruncate(file.get(), static_cast<off_t>(kLuksHeaderBytes + behind)) == 0 ? Status{} : fail_errno(errno, "size the volume");
  };
  if (!devices_.named()) {
    if (auto sized = size(mib * kMib); !sized) return sized;
    if (auto formatted = format_luks(file.get(), key); !formatted) return formatted;
    return sync_made(file, instance);
  }
  const auto used = devices_in_use();
  if (!used) return forward(used.error());
  const auto device = devices_.choose(mib, *used);
  if (!device) return forward(device.error());
  const auto mark = make_mark();
  if (!mark) return forward(mark.error());
  OnDevice on{kOnDeviceMagic, mib, *mark, {}};
  if ((*device)->name.size() >= on.name.size()) return fail(Errc::kLimit, "name a volume's device", (*device)->name);
  std::ranges::copy((*device)->name, on.name.begin());
  if (auto sized = size(sizeof on); !sized) return sized;
  if (auto formatted = format_luks(file.get(), key); !formatted) return formatted;
  const ssize_t wrote = pwrite(file.get(), &on, sizeof on, static_cast<off_t>(kLuksHeaderBytes));
  const int saved = errno;
  if (wrote < 0) return fail_errno(saved, "write which device a volume is on");
  if (wrote != sizeof on) return fail(Errc::kSystem, "write which device a volume is on");
  if (auto synced = sync_made(file, instance); !synced) return synced;
  return put_mark(**device, on.mark);  // last, so that what a device is marked with is the name of a file that is there
}

// What is on it is noise by now: the header is gone. Where the policy names the device no longer, it is left so.
Status Volumes::release_device_of(int file) const {
  const auto on = device_named_in(file);
  if (!on || !*on) return {};
  const PoolDevice* device = devices_.find((*on)->name.data());
  return device == nullptr ? Status{} : release(*device, (*on)->mark, (*on)->mib, discard_);
}

Status Volumes::format(const Subject& instance, std::uint64_t mib, const VersionedKey& key) const {
  const auto names = directories_of(instance);
  const auto pool = make_directories(directory_.get(), names);
  if (!pool) return forward(pool.error());
  const std::string name = file_name(instance, key.version, Use::kNever);
  const auto there = files_of(pool->get(), instance);
  if (!there) return forward(there.error());
  if (!there->empty()) return fail(Errc::kExists, "format a volume that is there", to_string(instance));
  const Fd file(openat(pool->get(), name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  const int saved = errno;
  if (!file.valid() && saved == EEXIST) return fail(Errc::kExists, "format a volume that is there", to_string(instance));
  if (!file.valid()) return fail_errno(saved, "create", name);
  const auto made = make(file, instance, mib, key.key);
  if (made) return made;
  Error error = made.error();
  error.on = to_string(instance);
  if (auto gone = remove(pool->get(), name); !gone) error.tried += "; and removing it failed: " + gone.error().message();
  prune(directory_.get(), names);
  return forward(std::move(error));
}

Result<Fd> Volumes::open(const Subject& instance) const {
  const auto pool = open_pool(directory_.get(), instance);
  if (!pool) return forward(pool.error());
  const auto found = file_of(pool->get(), instance);
  return found ? open_file(pool->get(), file_name(*found)) : Result<Fd>(forward(found.error()));
}

Result<FoundVolume> Volumes::find(const Subject& instance) const {
  const auto pool = open_pool(directory_.get(), instance);
  return pool ? file_of(pool->get(), instance) : Result<FoundVolume>(forward(pool.error()));
}

Status Volumes::rekey(const Subject& instance, const VersionedKey& from, const VersionedKey& to, const SecretArena& arena) const {
  const auto pool = open_pool(directory_.get(), instance);
  if (!pool) return forward(pool.error());
  const auto found = file_of(pool->get(), instance);
  if (!found) return forward(found.error());
  if (found->key_version != from.version) return fail(Errc::kDenied, "change the key of a volume whose key has another version", file_name(*found));
  const auto file = open_file(pool->get(), file_name(*found));
  if (!file) return forward(file.error());
  if (auto added = add_and_verify(file->get(), from.key, to.key, arena, file_name(*found)); !added) return added;
  FoundVolume renamed = *found;
  renamed.key_version = to.version;
  if (auto named = rename(pool->get(), *found, renamed); !named) return named;
  auto kept = keep_luks_key(file->get(), to.key, arena);
  if (kept) kept = sync(file->get(), file_name(renamed));
  if (kept) return kept;
  if (auto back = rename(pool->get(), renamed, *found); !back) kept.error().tried += "; and naming it back failed: " + back.error().message();
  return kept;
}

Status Volumes::mark_opened(const Subject& instance) const {
  const auto pool = open_pool(directory_.get(), instance);
  if (!pool) return forward(pool.error());
  const auto found = file_of(pool->get(), instance);
  if (!found) return forward(found.error());
  if (found->use == Use::kOpened) return {};
  return rename(pool->get(), *found, {instance, Use::kOpened, found->key_version});
}

Status Volumes::remove(int pool, const std::string& name) const {
  const auto file = open_file(pool, name);
  if (!file && file.error().code == Errc::kNotFound) return {};
  if (!file) return forward(file.error());
  if (auto wiped = overwrite_header(file->get(), name); !wiped) return wiped;
  if (auto released = release_device_of(file->get()); !released) return released;
  struct stat info {};
  if (fstat(file->get(), &info) != 0) return fail_errno(errno, "fstat", name);
  // Given back at once, whoever else may have the file open, and discarded on the disk below where its file system does that.
  if (info.st_size != 0 && fallocate(file->get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, info.st_size) != 0 && errno != EOPNOTSUPP) {
    return fail_errno(errno, "free the volume's blocks", name);
  }
  if (unlinkat(pool, name.c_str(), 0) != 0) return fail_errno(errno, "remove the volume", name);
  return sync(pool, name);
}

Status Volumes::destroy(const Subject& instance) const {
  const auto pool = open_pool(directory_.get(), instance);
  if (!pool && pool.error().code == Errc::kNotFound) {
    prune(directory_.get(), directories_of(instance));
    return {};
  }
  if (!pool) return forward(pool.error());
  const auto found = files_of(pool->get(), instance);
  if (!found) return forward(found.error());
  for (const FoundVolume& each : *found) {
    if (auto gone = remove(pool->get(), file_name(each)); !gone) return gone;
  }
  prune(directory_.get(), directories_of(instance));
  return sync(directory_.get(), "volumes");
}

Result<std::vector<FoundVolume>> Volumes::list() const {
  std::vector<FoundVolume> found;
  const auto open = [](int above, const std::string& name) { return open_beneath(above, name, O_RDONLY | O_DIRECTORY); };
  const auto looked = for_each_pool(directory_.get(), open, [&](const PoolFiles& files) -> Status {
    for (const std::string& name : files.names) {
      if (const auto volume = read_name(files.tenant, files.pool, name)) found.push_back(*volume);
    }
    return {};
  });
  if (!looked) return forward(looked.error());
  return found;
}

}  // namespace mvm::storage
