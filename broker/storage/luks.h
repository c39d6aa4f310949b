// LUKS2 headers, by libcryptsetup, on a file that is open: no path of ours reaches the library but /proc/self/fd/N. One keyslot,
// opened with a key of 256 random bits, so its KDF is the least that LUKS2 allows; aes-xts-plain64, 512 bits, sectors of 4 KiB.
// The library only reads and writes the header. The device is made by device_mapper.h, with the volume's key in the kernel's
// keyring for as long as that takes, so that nobody reads it back from the device's table.
// Owns nothing. Proven by: tests/storage/volumes_test.cc, and `cryptsetup luksDump` and `open` in tests/node/storage/.
#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"
#include "base/secret.h"

namespace mvm::storage {

inline constexpr std::size_t kKeyBytes = 32;                  // a tenant's key
inline constexpr std::size_t kVolumeKeyBytes = 64;            // the volume's own: two of AES-256, for XTS
inline constexpr std::uint64_t kLuksHeaderBytes = 2ull << 20;  // where the data begins
inline constexpr std::uint64_t kLuksSectorBytes = 4096;
inline constexpr const char* kLuksCipher = "aes-xts-plain64";

// Loads what OpenSSL and libcryptsetup load late, and sees that they do what they should, on a file in memory. Once, before the
// sandbox closes. kCorrupt where they do not.
[[nodiscard]] Status check_luks_works(const SecretArena& arena);

// A new header over whatever is there. The file is at least kLuksHeaderBytes long. Not synced.
[[nodiscard]] Status format_luks(int file, const Secret& key);

// What it takes to make the device.
struct UnlockedVolume {
  std::string uuid;
  Secret volume_key;
  int keyslots = 0;  // that are in use
};
// kDenied: no keyslot opens with the key. kCorrupt: no header, or not one that format_luks() writes.
[[nodiscard]] Result<UnlockedVolume> unlock_luks(int file, const Secret& key, const SecretArena& arena);

// Rotation, in steps each of which leaves a header that the old or the new key opens. kExists: the new key opens it already.
[[nodiscard]] Status add_luks_key(int file, const Secret& old_key, const Secret& new_key, const SecretArena& arena);
// Destroys every keyslot but the one that opens with `kept`, which is tried first.
[[nodiscard]] Status keep_luks_key(int file, const Secret& kept, const SecretArena& arena);

}  // namespace mvm::storage
