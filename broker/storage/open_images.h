// The root file system behind a jail: dm-verity over two loop devices, on <state>/images/<digest>/{rootfs,verity}, all of them read-only. One
// device an image, which all its jails share, under the name that follows from the digest (base/derived.h). Root hash and length are those of a
// manifest whose SHA-256 is that digest; nothing of the files is believed. A block that is not what the root hash says is an I/O error to
// whoever reads it, and the device knows from then on (Documentation/admin-guide/device-mapper/verity.rst, "V" and "C").
// Nothing is kept here; what is open is what the kernel says. Proven by: tests/storage/open_images_node_test.cc, tests/node/images/.
#pragma once

#include <vector>

#include "broker/storage/device_mapper.h"
#include "broker/storage/loop.h"
#include "policy-lang/statement.h"

namespace mvm::storage {

struct FoundImage {
  Digest image;
  bool whole = false;    // live, dm-verity, on the files of that image
  bool damaged = false;  // something of it was read that is not what the root hash says
};

class OpenImages {
 public:
  // `directory`: <state>/images, borrowed.
  OpenImages(const DeviceMapper& devices, const Loops& loops, int directory) : devices_(devices), loops_(loops), directory_(directory) {}

  // That it is open already, as it would be made, is success. kNotFound: no such image. kDenied: a device of that name is not one of ours.
  // kCorrupt: it is open, and damaged. kBusy: one of other files is in use.
  [[nodiscard]] Status open(const Digest& image, const lang::RootfsView& rootfs) const;
  // Already closed is success, and so is a device of that name that is not one of ours: it is left alone. kBusy: it is held open.
  [[nodiscard]] Status close(const Digest& image) const;
  // Devices of ours; others are passed over, whatever their names.
  [[nodiscard]] Result<std::vector<FoundImage>> list() const;

 private:
  struct Found {
    bool whole = false, damaged = false;
    Target table;
  };
  [[nodiscard]] Result<Found> look_at(const Digest& image) const;
  [[nodiscard]] Result<Fd> open_file(const Digest& image, const char* name) const;
  [[nodiscard]] bool stands_on(const Digest& image, const char* name, std::string_view device) const;
  [[nodiscard]] Status make(const Digest& image, const lang::RootfsView& rootfs) const;
  const DeviceMapper& devices_;
  const Loops& loops_;
  int directory_;
};

}  // namespace mvm::storage
