#include "policy-lang/manifest.h"

#include <algorithm>


namespace mvm::lang {
namespace {

constexpr std::array kParts = {Word::kLock, Word::kKernel, Word::kRootfs};

Statement part(Word word, const Digest& digest, std::uint64_t number) {
  Statement s;
  s.word = word;
  s.numbers = {1, number};
  s.digests[0] = digest;
  return s;
}

}  // namespace

// Sorted and without repetition, so as many lines as there are parts are one of each.
Checked<Manifest> read_manifest(const Document& document) {
  if (document.kind != Kind::kManifest || document.statements.size() != kParts.size() ||
      !std::ranges::equal(document.statements, kParts, {}, &Statement::word)) {
    return std::unexpected(Refusal{Rule::kForm, 0, 0, {}, "a manifest has one line each of lock, kernel and rootfs", "write them all"});
  }
  return Manifest{document.header.flake, document.statements[0].digests[0], kernel_view(document.statements[1]),
                  rootfs_view(document.statements[2])};
}

Document document_of(const Manifest& manifest) {
  Document document{Kind::kManifest, {}, {}};
  document.header.flake = manifest.flake;
  document.statements = {part(Word::kLock, manifest.lock, 0), part(Word::kKernel, manifest.kernel.digest, manifest.kernel.bytes),
                         part(Word::kRootfs, manifest.rootfs.root, manifest.rootfs.blocks)};
  return document;
}

}  // namespace mvm::lang
