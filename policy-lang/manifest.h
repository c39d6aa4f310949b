// What an image is: a manifest's text as one value, which only a whole manifest becomes. Its own digest, which a pool's
// `image` names, is that of the text's bytes, `end` line included: what sha256sum(1) says of the file.
// Pure. Proven by: tests/policy-lang/manifest_test.cc, fuzz/manifest_fuzz.cc.
#pragma once

#include "policy-lang/statement.h"
#include "policy-lang/text_error.h"

namespace mvm::lang {

// One manifest: three lines of 160 bytes and what is around them, at most.
inline constexpr std::size_t kMaxManifestBytes = 1024;

struct Manifest {
  FlakeRef flake;
  Digest lock;
  KernelView kernel;
  RootfsView rootfs;
};

// V1: of kind manifest, with each of its three lines.
[[nodiscard]] Checked<Manifest> read_manifest(const Document& document);
[[nodiscard]] Document document_of(const Manifest& manifest);

// Blocks of the dm-verity tree over that many blocks of data: 128 digests a block, up to the block whose digest is the root hash.
[[nodiscard]] constexpr std::uint64_t hash_blocks(std::uint64_t data_blocks) {
  constexpr std::uint64_t kDigestsPerBlock = kVerityBlock / 32;
  std::uint64_t all = 0;
  for (std::uint64_t level = data_blocks; level > 1; all += level) level = (level + kDigestsPerBlock - 1) / kDigestsPerBlock;
  return all;
}

}  // namespace mvm::lang
