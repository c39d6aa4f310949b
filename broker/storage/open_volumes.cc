#include "broker/storage/open_volumes.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <sstream>

#include "base/derived.h"
#include "broker/storage/closing.h"
#include "broker/storage/keyring.h"

namespace mvm::storage {
namespace {

// As libcryptsetup names them, so that `cryptsetup status` and `close` know what they see.
constexpr std::string_view kUuidPrefix = "CRYPT-LUKS2-";
constexpr const char* kCrypt = "crypt";

std::string device_uuid(std::string luks_uuid, const std::string& name) {
  std::erase(luks_uuid, '-');
  return std::string(kUuidPrefix) + luks_uuid + "-" + name;
}

bool is_our_uuid(std::string_view uuid, std::string_view name) { return uuid.starts_with(kUuidPrefix) && uuid.ends_with("-" + std::string(name)); }

std::string key_name(const std::string& luks_uuid) { return "cryptsetup:" + luks_uuid + "-d0"; }

// Documentation/admin-guide/device-mapper/dm-crypt.rst
Target crypt_target(const UnlockedVolume& volume, const Loop& loop, std::uint64_t mib, Discard discard) {
  return {mib * ((1 << 20) / kSector), kCrypt,
          std::string(kLuksCipher) + " :" + std::to_string(kVolumeKeyBytes) + ":logon:" + key_name(volume.uuid) + " 0 " + loop.device() + " " +
              std::to_string(kLuksHeaderBytes / kSector) + (discard == Discard::kYes ? " 2 allow_discards" : " 1") + " sector_size:" + std::to_string(kLuksSectorBytes)};
}

// The loop device that a dm-crypt table stands on.
std::optional<unsigned> loop_of(const Target& table) {
  std::istringstream words(table.parameters);
  std::string cipher, key, iv, device;
  words >> cipher >> key >> iv >> device;
  return table.type == kCrypt ? loop_number(device) : std::nullopt;
}

}  // namespace

Status OpenVolumes::open(const Subject& instance, const VersionedKey& key) const {
  const auto found = volumes_.find(instance);
  if (!found) return forward(found.error());
  if (found->key_version != key.version) return fail(Errc::kDenied, "open a volume with a key that has another version than its own", to_string(instance));
  const auto file = volumes_.open(instance);
  if (!file) return forward(file.error());
  const auto data = volumes_.data_of(file->get());
  if (!data) return forward(data.error());
  auto volume = unlock_luks(file->get(), key.key, arena_);
  if (!volume) return forward(volume.error());
  if (volume->keyslots > 1) {
    if (auto kept = keep_luks_key(file->get(), key.key, arena_); !kept) return kept;
    if (fsync(file->get()) != 0) return fail_errno(errno, "sync the header", to_string(instance));
  }
  if (auto marked = volumes_.mark_opened(instance); !marked) return marked;
  const auto loop = loops_.attach(data->fd, Writes::kAllowed);
  if (!loop) return forward(loop.error());
  const auto in_kernel = KernelKey::add(key_name(volume->uuid), volume->volume_key);
  volume->volume_key.wipe();
  if (!in_kernel) return forward(in_kernel.error());
  const std::string name = data_device_name(instance);
  const auto device = devices_.make({name, device_uuid(volume->uuid, name), crypt_target(*volume, *loop, data->mib, volumes_.discards()), Writes::kAllowed});
  return device ? Status{} : forward(device.error());
}

Result<FoundOpen> OpenVolumes::look_at(const Subject& instance, const std::string& name) const {
  const auto device = devices_.find(name);
  if (!device) return forward(device.error());
  if (!is_our_uuid(device->uuid, name)) return fail(Errc::kDenied, "take a device for one of ours that is not", name);
  FoundOpen found{instance, false};
  const auto table = devices_.table(name);
  const auto loop = table ? loop_of(*table) : std::nullopt;
  if (!loop || !device->live) return found;  // a part of one
  const auto backing = loops_.backing(*loop);
  const auto file = volumes_.open(instance);
  if (!backing || !file) return found;
  const auto data = volumes_.data_of(file->get());
  if (!data) return found;
  const auto ours = identity_of(data->fd);
  found.whole = ours && *ours == *backing;
  return found;
}

Status OpenVolumes::close(const Subject& instance) const {
  const std::string name = data_device_name(instance);
  const auto found = look_at(instance, name);
  const bool nothing_of_ours = !found && (found.error().code == Errc::kNotFound || found.error().code == Errc::kDenied);
  if (nothing_of_ours) return {};
  if (!found) return forward(found.error());
  return close_device(devices_, name);
}

Result<std::vector<FoundOpen>> OpenVolumes::list() const {
  const auto names = devices_.names();
  if (!names) return forward(names.error());
  std::vector<FoundOpen> all;
  for (const std::string& name : *names) {
    const auto instance = instance_of_data_device(name);
    if (!instance) continue;
    const auto found = look_at(*instance, name);
    if (found) all.push_back(*found);
    else if (found.error().code != Errc::kNotFound && found.error().code != Errc::kDenied) return forward(found.error());
  }
  return all;
}

}  // namespace mvm::storage
