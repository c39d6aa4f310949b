// The images that a plan names, held: a shared flock(2) on each one's directory, which `mvm image collect` must have alone, from before its
// manifest is read until the plan has ended and stands in the records. So no image is collected between the two. A manifest is gate's to
// parse; it is believed where its bytes have the digest that the plan names and print() makes the same bytes again.
// Owns the directory <state>/images, and the locks. Proven by: tests/supervisor/images_test.cc, tests/node/images/.
#pragma once

#include <map>

#include "base/error.h"
#include "base/fd.h"
#include "broker/supervisor/gate_client.h"
#include "policy-lang/manifest.h"

namespace mvm::supervisor {

// Of one plan: each is a descriptor that stays open. Those beyond fail, and the next plan has them.
inline constexpr std::size_t kMaxHeldImages = 256;
// Whoever collects has an image's lock for the moment in which it looks whether it is used, and removes it.
inline constexpr unsigned kLockTries = 50;
inline constexpr int kLockPauseMs = 10;

struct HeldImage {
  Fd lock;
  lang::Manifest manifest;
};
// By the image's digest; or why it cannot be had, which fails the statements that name it and no other.
using HeldImages = std::map<Digest, Result<HeldImage>>;

class Images {
 public:
  explicit Images(Fd directory) : directory_(std::move(directory)) {}

  // Of each jail that the plan makes. An error: gate has failed us.
  [[nodiscard]] Result<HeldImages> hold(const lang::Document& plan, GateClient& gate) const;

 private:
  [[nodiscard]] Result<Fd> lock(const std::string& name) const;
  [[nodiscard]] Result<Result<HeldImage>> hold_one(const Digest& image, GateClient& gate) const;
  Fd directory_;
};

}  // namespace mvm::supervisor
