#include "broker/supervisor/images.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>

#include <cerrno>

#include "broker/supervisor/files.h"

namespace mvm::supervisor {

Result<Fd> Images::lock(const std::string& name) const {
  auto image = open_file(directory_, name, O_RDONLY | O_DIRECTORY);
  if (!image) return image;
  for (unsigned i = 0; i < kLockTries; ++i) {
    if (flock(image->get(), LOCK_SH | LOCK_NB) == 0) return image;
    const int saved = errno;
    if (saved != EWOULDBLOCK && saved != EINTR) return fail_errno(saved, "hold the image", name);
    (void)poll(nullptr, 0, kLockPauseMs);
  }
  return fail(Errc::kBusy, "hold the image: it is locked", name);
}

// The manifest is opened by the image's name again, and not by the descriptor that is locked: what was being collected in between has
// that name no more.
Result<Result<HeldImage>> Images::hold_one(const Digest& image, GateClient& gate) const {
  const std::string name = to_hex(image.bytes);
  auto held = lock(name);
  if (!held) return Result<HeldImage>(forward(held.error()));
  const auto text = read_file(directory_, name + "/manifest", lang::kMaxManifestBytes);
  if (!text) return Result<HeldImage>(forward(text.error()));
  if (sha256(*text) != image) return Result<HeldImage>(fail(Errc::kCorrupt, "read the manifest that the image is named by", to_string(image)));
  auto parsed = gate.parse(lang::Kind::kManifest, *text);
  if (!parsed) return forward(parsed.error());
  if (!*parsed) return Result<HeldImage>(fail(Errc::kCorrupt, "read the manifest: " + parsed->error().message(), to_string(image)));
  const auto manifest = lang::read_manifest((*parsed)->document());
  if (!manifest) return Result<HeldImage>(fail(Errc::kCorrupt, "read the manifest: " + manifest.error().message(), to_string(image)));
  return HeldImage{*std::move(held), *manifest};
}

Result<HeldImages> Images::hold(const lang::Document& plan, GateClient& gate) const {
  HeldImages all;
  for (const lang::Statement& statement : plan.statements) {
    if (statement.word != lang::Word::kJail || statement.sign != lang::Sign::kAdd) continue;
    const Digest image = lang::jail_view(statement).image;
    if (all.contains(image)) continue;
    if (all.size() == kMaxHeldImages) {
      all.emplace(image, fail(Errc::kLimit, "hold another image for one plan", to_string(image)));
      continue;
    }
    auto held = hold_one(image, gate);
    if (!held) return forward(held.error());
    all.emplace(image, *std::move(held));
  }
  return all;
}

}  // namespace mvm::supervisor
