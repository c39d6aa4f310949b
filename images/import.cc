// Into the store: copied, checked, built, and only then given its name.
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "images/files.h"
#include "images/store.h"
#include "images/verity.h"
#include "policy-lang/print.h"

namespace mvm::images {
namespace {

constexpr const char* kUnfinished = ".new";

Uuid uuid_of(const Digest& digest) {
  Uuid uuid;
  std::copy_n(digest.bytes.begin(), uuid.size(), uuid.begin());
  return uuid;
}

struct Sized {
  Fd file;
  std::uint64_t bytes = 0;
};

Result<Sized> open_sized(int directory, const char* name) {
  auto file = open_regular(directory, name);
  if (!file) return forward(file.error());
  const auto bytes = size_of(file->get(), name);
  if (!bytes) return forward(bytes.error());
  return Sized{*std::move(file), *bytes};
}

Result<std::uint64_t> blocks_of(std::uint64_t bytes) {
  if (bytes % lang::kVerityBlock != 0) return fail(Errc::kMalformed, "take a rootfs whose length is no multiple of 4096 bytes");
  const std::uint64_t blocks = bytes / lang::kVerityBlock;
  if (blocks < 2 || blocks > lang::kMaxRootfsBlocks) return fail(Errc::kLimit, "take a rootfs of fewer than 2 or more than 16777216 blocks");
  return blocks;
}

Status copy_kernel(int from, int to, const lang::KernelView& wanted) {
  const auto source = open_sized(from, kKernelFile);
  if (!source) return forward(source.error());
  if (source->bytes != wanted.bytes) return fail(Errc::kCorrupt, "find the kernel as long as the manifest says");
  const auto file = create(to, kKernelFile);
  if (!file) return forward(file.error());
  const auto digest = copy(source->file.get(), file->get(), wanted.bytes);
  if (!digest) return forward(digest.error());
  if (*digest != wanted.digest) return fail(Errc::kCorrupt, "find the kernel that the manifest names", to_string(*digest));
  return seal(file->get(), kKernelFile);
}

Status copy_rootfs(int from, int to, const lang::RootfsView& wanted, const Uuid& uuid) {
  const auto source = open_sized(from, kRootfsFile);
  if (!source) return forward(source.error());
  if (source->bytes != wanted.blocks * lang::kVerityBlock) return fail(Errc::kCorrupt, "find the rootfs as long as the manifest says");
  const auto file = create(to, kRootfsFile);
  if (!file) return forward(file.error());
  if (auto copied = copy(source->file.get(), file->get(), source->bytes); !copied) return forward(copied.error());
  const auto tree = create(to, kVerityFile);
  if (!tree) return forward(tree.error());
  // Over the copy: what is filed is what was checked.
  const auto root = make_tree(file->get(), tree->get(), wanted.blocks, uuid);
  if (!root) return forward(root.error());
  if (*root != wanted.root) return fail(Errc::kCorrupt, "find the root hash that the manifest names", to_string(*root));
  if (auto sealed = seal(file->get(), kRootfsFile); !sealed) return sealed;
  return seal(tree->get(), kVerityFile);
}

Status write_manifest(int to, const std::string& text) {
  const auto file = create(to, kManifestFile);
  if (!file) return forward(file.error());
  if (auto written = write_whole(file->get(), text); !written) return written;
  return seal(file->get(), kManifestFile);
}

}  // namespace

Result<Described> describe(int directory, const Origin& origin) {
  const auto kernel = open_sized(directory, kKernelFile), rootfs = open_sized(directory, kRootfsFile);
  if (!kernel) return forward(kernel.error());
  if (!rootfs) return forward(rootfs.error());
  if (kernel->bytes == 0 || kernel->bytes > lang::kMaxKernelBytes) return fail(Errc::kLimit, "take a kernel of 0 or more than 268435456 bytes");
  const auto blocks = blocks_of(rootfs->bytes);
  if (!blocks) return forward(blocks.error());
  const auto digest = digest_of(kernel->file.get(), kernel->bytes);
  if (!digest) return forward(digest.error());
  const Fd tree(openat(directory, ".", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600));
  const int saved = errno;
  if (!tree.valid()) return fail_errno(saved, "make a temporary file beside the image");
  const auto root = make_tree(rootfs->file.get(), tree.get(), *blocks, {});
  if (!root) return forward(root.error());
  lang::Manifest manifest{origin.flake, origin.lock, {*digest, kernel->bytes}, {*root, *blocks}};
  std::string text = lang::print(lang::document_of(manifest));
  const Digest named = sha256(text);
  return Described{manifest, std::move(text), named};
}

Status Store::fill(int from, int to, const Described& described) const {
  if (auto kernel = copy_kernel(from, to, described.manifest.kernel); !kernel) return kernel;
  if (auto rootfs = copy_rootfs(from, to, described.manifest.rootfs, uuid_of(described.digest)); !rootfs) return rootfs;
  if (auto manifest = write_manifest(to, described.text); !manifest) return manifest;
  if (fchmod(to, 0555) != 0) return fail_errno(errno, "make read-only", kUnfinished);
  return sync_directory(to);
}

Result<Imported> Store::import(int directory) const {
  const auto described = read_described(directory);
  if (!described) return forward(described.error());
  const auto held = lock();
  if (!held) return forward(held.error());
  if (auto cleared = remove_unfinished(); !cleared) return forward(cleared.error());
  if (open_image(described->digest)) return Imported{described->digest, Was::kThere};
  if (mkdirat(directory_.get(), kUnfinished, 0700) != 0) return fail_errno(errno, "make the directory", kUnfinished);
  const Fd made(openat(directory_.get(), kUnfinished, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  const int saved = errno;
  auto filled = made.valid() ? fill(directory, made.get(), *described) : Status(fail_errno(saved, "open", kUnfinished));
  if (filled && renameat2(directory_.get(), kUnfinished, directory_.get(), to_hex(described->digest.bytes).c_str(), RENAME_NOREPLACE) != 0) {
    filled = fail_errno(errno, "give the image its name", to_string(described->digest));
  }
  if (!filled) {
    if (auto cleared = remove_unfinished(); !cleared) filled.error().tried += "; and clearing up failed: " + cleared.error().message();
    return forward(filled.error());
  }
  if (auto synced = sync_directory(directory_.get()); !synced) return forward(synced.error());
  return Imported{described->digest, Was::kNew};
}

}  // namespace mvm::images
