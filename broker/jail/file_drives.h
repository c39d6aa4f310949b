// Drives that are files in memory: secrets and config, made by the storage worker (broker/storage/drives.h), whose names follow from the instance. Such a
// file is bound into its jail, to be read, in the jailer's mount namespace and nowhere else: so there is no copy of it and no device, and the jail's uid
// needs no way to where it lies.
// Owns nothing. Needs CHOWN, DAC_OVERRIDE. Proven by: tests/jail/file_drives_test.cc, tests/jail/jail_kernel_test.cc, tests/node/storage/.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <string>

#include "base/error.h"
#include "base/ids.h"
#include "schemas/worker.h"

namespace mvm::jail {

struct FileDrive {
  wire::DriveSet bit;
  const char* name;  // in its directory behind the instance's, in the jail, and to Firecracker
};
inline constexpr std::array kFileDrives = {FileDrive{wire::kSecretsDrive, "secrets"}, FileDrive{wire::kConfigDrive, "config"}};

// What is bound to what in the jailer's mount namespace, by absolute paths: a descriptor is of our namespace, and cannot be bound in another. Both are below
// directories that root alone can change, but for that of drives, in which the storage worker can make nothing but files.
struct Bind {
  enum class Writes : std::uint8_t { kAllowed, kRefused };
  std::string from;
  std::string to;
  Writes writes = Writes::kRefused;
};

// Of the instance's drive: below the state directory.
[[nodiscard]] std::string file_drive_path(const Subject& instance, const char* name);
// Gives it to the uid, to be read, and makes an empty file of its name in the jail's root for it to be bound to. kNotFound: there is none. kDenied: it is
// no regular file.
[[nodiscard]] Status give_file_drive(int state, int root, const Subject& instance, const char* name, uid_t uid);

}  // namespace mvm::jail
