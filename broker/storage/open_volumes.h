// luksOpen and its inverse: a volume's file, a loop device on it, or on the device that its data is on, and dm-crypt on that, under the name that follows from the
// instance (base/derived.h). The jail worker makes a node of it in the jail, and nowhere else is there one: no path is shared.
// Nothing is kept here; what is open is what the kernel says. Proven by: tests/node/storage/.
#pragma once

#include <string>
#include <vector>

#include "broker/storage/device_mapper.h"
#include "broker/storage/loop.h"
#include "broker/storage/luks.h"
#include "broker/storage/volumes.h"

namespace mvm::storage {

struct FoundOpen {
  Subject instance;
  bool whole = false;  // live, dm-crypt, on the file of that volume
};

class OpenVolumes {
 public:
  OpenVolumes(const DeviceMapper& devices, const Loops& loops, const Volumes& volumes, const SecretArena& arena)
      : devices_(devices), loops_(loops), volumes_(volumes), arena_(arena) {}

  // What a change of keys that was interrupted has left in the header is destroyed.
  // kNotFound: no volume. kDenied: not that key, or not the version that is the volume's now. kExists: a device of that name, whosesoever. Half of it undone on an error.
  [[nodiscard]] Status open(const Subject& instance, const VersionedKey& key) const;
  // Already closed is success, and so is a device of that name that is not one of ours: it is left alone. kBusy: it is held open;
  // says by whom, as far as that can be seen.
  [[nodiscard]] Status close(const Subject& instance) const;
  // Devices of ours; others are passed over, whatever their names.
  [[nodiscard]] Result<std::vector<FoundOpen>> list() const;

 private:
  [[nodiscard]] Result<FoundOpen> look_at(const Subject& instance, const std::string& name) const;
  const DeviceMapper& devices_;
  const Loops& loops_;
  const Volumes& volumes_;
  const SecretArena& arena_;
};

}  // namespace mvm::storage
