// Drives for secrets and configuration: <drives>/<tenant>.<pool>.<id>.secrets and .config, in a ramfs, which has no disk below it and which the kernel
// never swaps. A drive has that name once all of it is written; until then its name ends in ".new". Blocks that are all zero are holes, so a drive takes
// the memory of what is in it. The jail worker gives the file to its microVM's user, to be read; the group stays ours, so that we can wipe it.
// Owns the directory <drives>. Proven by: tests/storage/drives_test.cc, tests/node/storage/.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "base/ids.h"

namespace mvm::storage {

// Their memory is hostd's own, whose limit (mvm-hostd.service) has room for so many of the largest.
inline constexpr std::size_t kMaxDrives = 2048;

struct FoundDrive {
  Subject instance;
  bool whole = false;
};

class Drives {
 public:
  // kDenied where the directory is on anything but a ramfs.
  [[nodiscard]] static Result<Drives> make(Fd directory);

  // `kind`: drive::kSecretsLabel or kConfigLabel. kExists: there is one. kLimit: there are kMaxDrives. What was written is wiped where a later step fails.
  [[nodiscard]] Status write(const Subject& instance, std::string_view kind, std::span<const std::uint8_t> drive) const;
  // Overwritten, then removed. Already gone is success.
  [[nodiscard]] Status wipe(const Subject& instance, std::string_view kind) const;
  [[nodiscard]] Result<std::vector<FoundDrive>> list(std::string_view kind) const;
  [[nodiscard]] int directory() const { return directory_.get(); }

 private:
  explicit Drives(Fd directory) : directory_(std::move(directory)) {}
  Fd directory_;
};

}  // namespace mvm::storage
