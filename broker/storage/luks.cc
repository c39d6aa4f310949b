#include "broker/storage/luks.h"

#include <libcryptsetup.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/fd.h"
#include "base/owned.h"

namespace mvm::storage {
namespace {

using Context = Owned<crypt_device, &crypt_free>;

constexpr const char* kCipher = "aes";
constexpr const char* kCipherMode = "xts-plain64";
constexpr std::uint32_t kLeastIterations = 1000;  // LUKS2 takes no fewer of PBKDF2
constexpr std::uint64_t kMetadataBytes = 16 << 10;  // of each of the header's two copies; the least
constexpr std::uint64_t kKeyslotsBytes = kLuksHeaderBytes - 2 * kMetadataBytes;  // room for seven, of 252 KiB each

crypt_pbkdf_type fast_kdf() {
  return {.type = CRYPT_KDF_PBKDF2, .hash = "sha256", .time_ms = 0, .iterations = kLeastIterations, .max_memory_kb = 0,
          .parallel_threads = 0, .flags = CRYPT_PBKDF_NO_BENCHMARK};
}

// libcryptsetup's own words would name /proc/self/fd/N, and go to stdout.
void say_nothing(int, const char*, void*) {}

std::unexpected<Error> failed(int result, const char* tried) {
  if (result == -EPERM) return fail(Errc::kDenied, std::string(tried) + ": no keyslot opens with the key");
  return fail_errno(-result, tried);
}

Result<Context> open_context(int file) {
  crypt_device* made = nullptr;
  const int result = crypt_init(&made, ("/proc/self/fd/" + std::to_string(file)).c_str());
  if (result < 0) return failed(result, "look at the volume's file");
  Context context(made);
  crypt_set_log_callback(context.get(), say_nothing, nullptr);
  crypt_set_rng_type(context.get(), CRYPT_RNG_URANDOM);
  const crypt_pbkdf_type kdf = fast_kdf();
  if (const int set = crypt_set_pbkdf_type(context.get(), &kdf); set < 0) return failed(set, "choose the KDF");
  return context;
}

const char* chars(const Secret& secret) { return reinterpret_cast<const char*>(secret.bytes().data()); }

// Nobody but us writes such a header. That it is as we write it is asked all the same, for what it says becomes a device.
Status check_form(crypt_device* context) {
  const std::string cipher = std::string(crypt_get_cipher(context)) + "-" + crypt_get_cipher_mode(context);
  const bool ours = cipher == kLuksCipher && crypt_get_volume_key_size(context) == static_cast<int>(kVolumeKeyBytes) &&
                    crypt_get_sector_size(context) == static_cast<int>(kLuksSectorBytes) &&
                    crypt_get_data_offset(context) * 512 == kLuksHeaderBytes && crypt_get_iv_offset(context) == 0;
  std::uint32_t requirements = 0;
  if (!ours || crypt_persistent_flags_get(context, CRYPT_FLAGS_REQUIREMENTS, &requirements) < 0 || requirements != 0) {
    return fail(Errc::kCorrupt, "take a LUKS header that is not of our making");
  }
  return {};
}

Result<Context> load(int file) {
  auto context = open_context(file);
  if (!context) return context;
  if (const int loaded = crypt_load(context->get(), CRYPT_LUKS2, nullptr); loaded < 0) {
    Error error{Errc::kCorrupt, -loaded, "read the volume's LUKS header", {}};
    return forward(std::move(error));
  }
  if (auto ours = check_form(context->get()); !ours) return forward(ours.error());
  return context;
}

// The keyslot that opens with the key, and what it holds.
struct Opened {
  int keyslot;
  Secret volume_key;
};
Result<Opened> open_with(crypt_device* context, const Secret& key, const SecretArena& arena) {
  auto volume_key = arena.take(kVolumeKeyBytes);
  if (!volume_key) return forward(volume_key.error());
  std::size_t size = volume_key->size();
  const int slot = crypt_volume_key_get(context, CRYPT_ANY_SLOT, reinterpret_cast<char*>(volume_key->bytes().data()), &size, chars(key), key.size());
  if (slot < 0) return failed(slot, "open the volume");
  if (size != kVolumeKeyBytes) return fail(Errc::kCorrupt, "take a volume's key of another size");
  return Opened{slot, *std::move(volume_key)};
}

Status check_key(const Secret& key) {
  return key.size() == kKeyBytes ? Status{} : fail(Errc::kMalformed, "use a key that is not of 256 bits");
}

}  // namespace

Status format_luks(int file, const Secret& key) {
  if (auto good = check_key(key); !good) return good;
  auto made = open_context(file);
  if (!made) return forward(made.error());
  crypt_device* const context = made->get();
  if (const int set = crypt_set_metadata_size(context, kMetadataBytes, kKeyslotsBytes); set < 0) return failed(set, "lay out the LUKS header");
  if (const int set = crypt_set_data_offset(context, kLuksHeaderBytes / 512); set < 0) return failed(set, "lay out the LUKS header");
  const crypt_pbkdf_type kdf = fast_kdf();
  crypt_params_luks2 parameters{};
  parameters.pbkdf = &kdf;
  parameters.sector_size = kLuksSectorBytes;
  parameters.subsystem = "mvm";
  const int formatted = crypt_format(context, CRYPT_LUKS2, kCipher, kCipherMode, nullptr, nullptr, kVolumeKeyBytes, &parameters);
  if (formatted < 0) return failed(formatted, "write the LUKS header");
  const int slot = crypt_keyslot_add_by_volume_key(context, 0, nullptr, 0, chars(key), key.size());
  if (slot < 0) return failed(slot, "write the keyslot");
  return {};
}

Result<UnlockedVolume> unlock_luks(int file, const Secret& key, const SecretArena& arena) {
  if (auto good = check_key(key); !good) return forward(good.error());
  const auto context = load(file);
  if (!context) return forward(context.error());
  auto opened = open_with(context->get(), key, arena);
  if (!opened) return forward(opened.error());
  int in_use = 0;
  for (int slot = 0; slot < crypt_keyslot_max(CRYPT_LUKS2); ++slot) {
    const crypt_keyslot_info info = crypt_keyslot_status(context->get(), slot);
    in_use += info != CRYPT_SLOT_INACTIVE && info != CRYPT_SLOT_INVALID;
  }
  return UnlockedVolume{crypt_get_uuid(context->get()), std::move(opened->volume_key), in_use};
}

Status add_luks_key(int file, const Secret& old_key, const Secret& new_key, const SecretArena& arena) {
  if (auto good = check_key(new_key); !good) return good;
  const auto context = load(file);
  if (!context) return forward(context.error());
  if (open_with(context->get(), new_key, arena)) return fail(Errc::kExists, "add a key that opens the volume already");
  const int slot = crypt_keyslot_add_by_passphrase(context->get(), CRYPT_ANY_SLOT, chars(old_key), old_key.size(), chars(new_key), new_key.size());
  return slot < 0 ? Status(failed(slot, "add the key")) : Status{};
}

Status keep_luks_key(int file, const Secret& kept, const SecretArena& arena) {
  const auto context = load(file);
  if (!context) return forward(context.error());
  const auto opened = open_with(context->get(), kept, arena);
  if (!opened) return forward(opened.error());
  for (int slot = 0; slot < crypt_keyslot_max(CRYPT_LUKS2); ++slot) {
    const crypt_keyslot_info info = crypt_keyslot_status(context->get(), slot);
    if (slot == opened->keyslot || info == CRYPT_SLOT_INACTIVE || info == CRYPT_SLOT_INVALID) continue;
    if (const int gone = crypt_keyslot_destroy(context->get(), slot); gone < 0) return failed(gone, "destroy the old keyslot");
  }
  return {};
}

// Once in a process, and for good: the context that is kept open keeps what was loaded.
Status check_luks_works(const SecretArena& arena) {
  static Context kept;
  if (crypt_metadata_locking(nullptr, 0) < 0) return fail(Errc::kUnsupported, "do without libcryptsetup's locks");
  crypt_set_log_callback(nullptr, say_nothing, nullptr);
  const Fd file(memfd_create("luks", MFD_CLOEXEC));
  const int saved = errno;
  if (!file.valid()) return fail_errno(saved, "memfd_create");
  if (ftruncate(file.get(), static_cast<off_t>(kLuksHeaderBytes + kLuksSectorBytes)) != 0) return fail_errno(errno, "ftruncate");
  auto context = open_context(file.get());
  if (!context) return forward(context.error());
  kept = *std::move(context);
  auto key = arena.take(kKeyBytes), other = arena.take(kKeyBytes);
  if (!key || !other) return forward(!key ? key.error() : other.error());
  std::ranges::fill(key->bytes(), std::uint8_t{1});
  std::ranges::fill(other->bytes(), std::uint8_t{2});
  if (auto formatted = format_luks(file.get(), *key); !formatted) return formatted;
  if (auto opened = unlock_luks(file.get(), *key, arena); !opened) return forward(opened.error());
  const auto wrong = unlock_luks(file.get(), *other, arena);
  if (wrong || wrong.error().code != Errc::kDenied) return fail(Errc::kCorrupt, "see that a wrong key opens nothing");
  return {};
}

}  // namespace mvm::storage
