// Text of an image's manifest, from anybody; and what is read of one that parses makes the same text again.
#include <cstddef>
#include <cstdint>

#include "fuzz/text_target.h"
#include "policy-lang/manifest.h"

namespace {

void check_manifest(const std::string& text) {
  using namespace mvm;
  const auto parsed = lang::parse(lang::Kind::kManifest, text);
  if (!parsed) return;
  const auto manifest = lang::read_manifest(*parsed);
  if (!manifest) return;
  fuzz::must(lang::print(lang::document_of(*manifest)) == text, "a manifest that was read prints as its text");
  fuzz::must(text.size() <= lang::kMaxManifestBytes, "a whole manifest is short");
  const std::uint64_t hashes = lang::hash_blocks(manifest->rootfs.blocks);
  fuzz::must(hashes >= 1 && hashes < manifest->rootfs.blocks, "a tree is smaller than what it is over");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  check_manifest(text);
  check_manifest(mvm::fuzz::with_digest_mended(text));
  return mvm::fuzz::run_text_target(mvm::lang::Kind::kManifest, data, size);
}
