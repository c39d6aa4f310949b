// What the storage worker is asked: one task in, one answer out, or several pages of an inventory. One task at a time, because
// libcryptsetup is one thread's; an open takes some milliseconds.
// What there is for a word is a row of a table (executor.cc), so that a new kind of drive is one row.
// Owns nothing; what it works on is in Host. Proven by: tests/node/storage/, tests/node/images/, tests/storage/image_tasks_test.cc.
#pragma once

#include <vector>

#include "broker/storage/device_mapper.h"
#include "broker/storage/drives.h"
#include "broker/storage/key_source.h"
#include "broker/storage/loop.h"
#include "broker/storage/open_images.h"
#include "broker/storage/open_volumes.h"
#include "broker/storage/volumes.h"
#include "schemas/worker.h"

namespace mvm::storage {

// What main() opened.
struct Host {
  DeviceMapper devices;
  Loops loops;
  Volumes volumes;
  Fd images;  // <state>/images
  Drives drives;
  SecretArena arena;
  const sealing::Session& session;  // whose public half is offered
  KeySource& keys;

  [[nodiscard]] OpenVolumes open_volumes() const { return {devices, loops, volumes, arena}; }
  [[nodiscard]] OpenImages open_images() const { return {devices, loops, images.get()}; }
};

using Items = std::vector<wire::Item>;

struct Executor {
  lang::Word word;
  Status (*make)(Host&, const wire::Task&);
  Status (*unmake)(Host&, const wire::Task&);
  Status (*find)(const Host&, Items&);  // adds what there is
  Status (*move)(Host&, const wire::Task&) = nullptr;
};

[[nodiscard]] std::vector<wire::Answer> dispatch(Host& host, const wire::Task& task);

}  // namespace mvm::storage
