// The files of volumes: <state>/volumes/<tenant>/<pool>/<instance>.<version>.luks, sparse, ours, 0600. A file has that name from the moment
// before it is first opened; until then it is <instance>.<version>.new, and holds nothing that anyone could miss. So whatever is left of a
// crash and has no record is known for what it is. A file that is there is never formatted again, by whatever name. The key of the
// version in its name opens it, at every moment: that is how a change of keys that was interrupted is known for what it is, without a key.
// Where the node's policy names block devices, the data of a new volume lies on one of them, and its file has the header, and behind it the name of
// the device (pool_devices.h).
// Owns the directory <state>/volumes, and the devices. Proven by: tests/storage/volumes_test.cc, pool_devices_node_test.cc, killed_test.cc, tests/node/storage/.
#pragma once

#include <cstdint>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "base/ids.h"
#include "base/secret.h"
#include "broker/storage/pool_devices.h"

namespace mvm::storage {

struct VersionedKey {
  std::uint32_t version;
  const Secret& key;
};

enum class Use : std::uint8_t { kNever, kOpened };

// Where a volume's data lies, behind kLuksHeaderBytes: the file that has its header, or a device. Borrowed of who opened it.
struct VolumeData {
  int fd = -1;
  std::uint64_t mib = 0;
};

struct FoundVolume {
  Subject instance;
  Use use = Use::kNever;
  std::uint32_t key_version = 0;
};

class Volumes {
 public:
  explicit Volumes(Fd directory, PoolDevices devices = {}, Discard discard = Discard::kNo)
      : directory_(std::move(directory)), devices_(std::move(devices)), discard_(discard) {}

  // A LUKS2 volume of that many MiB that opens with the key of that version; synced. kExists: a file of it is there, and stays as it
  // is. What was made is removed where a later step fails. Where there are devices: kLimit, kDenied, as choose() says.
  [[nodiscard]] Status format(const Subject& instance, std::uint64_t mib, const VersionedKey& key) const;
  // kNotFound: there is none. kCorrupt: there are two.
  [[nodiscard]] Result<FoundVolume> find(const Subject& instance) const;
  // To read and write. kNotFound: there is none. kDenied: it is not a file of ours alone.
  [[nodiscard]] Result<Fd> open(const Subject& instance) const;
  // Of a file that open() gave. kCorrupt: it is of no volume's length. kNotFound: it names a device that the policy does not,
  // or that could not be opened. kDenied: the device of that name is not the one that it was made on.
  [[nodiscard]] Result<VolumeData> data_of(int file) const;
  // Adds the new key to the header and sees that it opens it, names the file after it, and removes the old one; each step is synced. kDenied:
  // the old key is not the volume's. Where a step fails, the old key's version is in the name, and it opens the volume. The volume is closed.
  [[nodiscard]] Status rekey(const Subject& instance, const VersionedKey& from, const VersionedKey& to, const SecretArena& arena) const;
  // Before it is opened for the first time; again is nothing.
  [[nodiscard]] Status mark_opened(const Subject& instance) const;
  // Overwrites the header with its keyslots and syncs that, then discards what is on its device, if that is so wanted, frees what the file
  // has, and removes it. Already gone is success, and so is a device that has gone, or fails.
  [[nodiscard]] Status destroy(const Subject& instance) const;
  [[nodiscard]] Result<std::vector<FoundVolume>> list() const;
  [[nodiscard]] Discard discards() const { return discard_; }

 private:
  [[nodiscard]] Status make(const Fd& file, const Subject& instance, std::uint64_t mib, const Secret& key) const;
  [[nodiscard]] Status sync_made(const Fd& file, const Subject& instance) const;
  [[nodiscard]] Status remove(int pool, const std::string& name) const;
  [[nodiscard]] Status release_device_of(int file) const;
  [[nodiscard]] Result<std::set<std::string>> devices_in_use() const;
  Fd directory_;
  PoolDevices devices_;
  Discard discard_;
};

}  // namespace mvm::storage
