#include "images/store.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/owned.h"
#include "images/files.h"
#include "images/verity.h"
#include "policy-lang/parse.h"
#include "policy-lang/print.h"

namespace mvm::images {
namespace {

constexpr mode_t kOthersMayWrite = 022;

}  // namespace

Result<Described> read_described(int directory) {
  auto text = read_small(directory, kManifestFile, lang::kMaxManifestBytes);
  if (!text) return forward(text.error());
  const auto parsed = lang::parse(lang::Kind::kManifest, *text);
  if (!parsed) return fail(Errc::kMalformed, "read the manifest: " + parsed.error().message());
  auto manifest = lang::read_manifest(*parsed);
  if (!manifest) return fail(Errc::kMalformed, "read the manifest: " + manifest.error().message());
  const Digest digest = sha256(*text);
  return Described{*std::move(manifest), *std::move(text), digest};
}

Result<Store> Store::open(const std::string& state) {
  const std::string path = state + "/images";
  if (mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) return fail_errno(errno, "make the directory", path);
  Fd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  const int saved = errno;
  if (!fd.valid()) return fail_errno(saved, "open the directory", path);
  struct stat status {};
  if (fstat(fd.get(), &status) != 0) return fail_errno(errno, "look at the directory", path);
  if (status.st_uid != geteuid() || (status.st_mode & kOthersMayWrite) != 0) {
    return fail(Errc::kDenied, "use a directory that others may write", path);
  }
  return Store(std::move(fd));
}

// A descriptor of its own: a lock of flock(2) is the open file's, and goes with it.
Result<Fd> Store::lock() const {
  Fd held(openat(directory_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const int saved = errno;
  if (!held.valid()) return fail_errno(saved, "open", "images");
  if (flock(held.get(), LOCK_EX) != 0) return fail_errno(errno, "lock", "images");
  return held;
}

Result<Fd> Store::open_image(const Digest& digest) const {
  const std::string name = to_hex(digest.bytes);
  Fd image(openat(directory_.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  const int saved = errno;
  if (!image.valid() && saved == ENOENT) return fail(Errc::kNotFound, "find the image", to_string(digest));
  if (!image.valid()) return fail_errno(saved, "open the image", to_string(digest));
  return image;
}

Result<std::vector<std::string>> Store::names() const {
  Fd copy(openat(directory_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const Owned<DIR, &closedir> stream(copy.valid() ? fdopendir(copy.get()) : nullptr);
  if (!stream) return fail_errno(errno, "list", "images");
  static_cast<void>(copy.release());
  std::vector<std::string> names;
  while (const dirent* entry = readdir(stream.get())) names.emplace_back(entry->d_name);
  std::ranges::sort(names);
  return names;
}

Result<std::vector<Digest>> Store::list() const {
  const auto all = names();
  if (!all) return forward(all.error());
  std::vector<Digest> found;
  for (const std::string& name : *all) {
    if (const auto bytes = hex32(name)) found.push_back(Digest{*bytes});
  }
  return found;
}

Result<Described> Store::verify(const Digest& digest) const {
  const auto image = open_image(digest);
  if (!image) return forward(image.error());
  auto described = read_described(image->get());
  if (!described) return described;
  if (described->digest != digest) return fail(Errc::kCorrupt, "find the manifest that the image is named by", to_string(described->digest));
  const lang::Manifest& manifest = described->manifest;
  const auto kernel = open_regular(image->get(), kKernelFile), rootfs = open_regular(image->get(), kRootfsFile),
             tree = open_regular(image->get(), kVerityFile);
  for (const auto* file : {&kernel, &rootfs, &tree}) {
    if (!*file) return forward(file->error());
  }
  const auto bytes = size_of(kernel->get(), kKernelFile);
  if (!bytes) return forward(bytes.error());
  const auto found = digest_of(kernel->get(), *bytes);
  if (!found) return forward(found.error());
  if (*bytes != manifest.kernel.bytes || *found != manifest.kernel.digest) return fail(Errc::kCorrupt, "check the kernel", to_string(*found));
  if (auto sound = check_tree(rootfs->get(), tree->get(), manifest.rootfs.blocks, manifest.rootfs.root); !sound) return forward(sound.error());
  return described;
}

}  // namespace mvm::images
