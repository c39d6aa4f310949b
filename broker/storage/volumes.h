// The files of volumes: <state>/volumes/<tenant>/<pool>/<instance>.luks, sparse, ours, 0600. A file has that name from the moment
// before it is first opened; until then it is <instance>.new, and holds nothing that anyone could miss. So whatever is left of a
// crash and has no record is known for what it is. A file that is there is never formatted again, by whatever name.
// Owns the directory <state>/volumes. Proven by: tests/storage/volumes_test.cc, killed_test.cc, tests/node/storage/.
#pragma once

#include <cstdint>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "base/ids.h"
#include "base/secret.h"

namespace mvm::storage {

enum class Use : std::uint8_t { kNever, kOpened };

struct FoundVolume {
  Subject instance;
  Use use = Use::kNever;
};

class Volumes {
 public:
  explicit Volumes(Fd directory) : directory_(std::move(directory)) {}

  // A LUKS2 volume of that many MiB that opens with the key; synced. kExists: a file of it is there, and stays as it
  // is. What was made is removed where a later step fails.
  [[nodiscard]] Status format(const Subject& instance, std::uint64_t mib, const Secret& key) const;
  // To read and write. kNotFound: there is none. kDenied: it is not a file of ours alone.
  [[nodiscard]] Result<Fd> open(const Subject& instance) const;
  // Before it is opened for the first time; again is nothing.
  [[nodiscard]] Status mark_opened(const Subject& instance) const;
  // Overwrites the header with its keyslots and syncs that, then frees what the file has, and removes it. Already gone is success.
  [[nodiscard]] Status destroy(const Subject& instance) const;
  [[nodiscard]] Result<std::vector<FoundVolume>> list() const;

 private:
  Fd directory_;
};

// MiB of data, from the file's size. kCorrupt: it is too short to have any.
[[nodiscard]] Result<std::uint64_t> data_mib(int file);

}  // namespace mvm::storage
