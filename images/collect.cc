// Out of the store: what nothing names, once nothing can begin to use it.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <ctime>

#include "images/files.h"
#include "images/store.h"

namespace mvm::images {
namespace {

constexpr std::string_view kLeaving = ".old-", kUnfinished = ".new";

}  // namespace

Status Store::remove_directory(const std::string& name) const {
  const Fd image(openat(directory_.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  const int saved = errno;
  if (!image.valid()) return fail_errno(saved, "open", name);
  for (const char* file : {kManifestFile, kKernelFile, kRootfsFile, kVerityFile}) {
    if (unlinkat(image.get(), file, 0) != 0 && errno != ENOENT) return fail_errno(errno, "remove", name + "/" + file);
  }
  if (unlinkat(directory_.get(), name.c_str(), AT_REMOVEDIR) != 0) return fail_errno(errno, "remove", name);
  return {};
}

// What was being made or removed when one of us died; under the lock it is nobody's.
Status Store::remove_unfinished() const {
  const auto all = names();
  if (!all) return forward(all.error());
  for (const std::string& name : *all) {
    if (name != kUnfinished && !name.starts_with(kLeaving)) continue;
    if (auto removed = remove_directory(name); !removed) return removed;
  }
  return {};
}

Result<Fate> Store::collect_one(const Digest& digest, const Uses& uses, std::chrono::seconds age) const {
  const auto image = open_image(digest);
  if (!image) return forward(image.error());
  struct stat status {};
  if (fstat(image->get(), &status) != 0) return fail_errno(errno, "look at the image", to_string(digest));
  // Not time(), whose coarse clock may lag behind the fine one that file systems now stamp with: what is as old as the second would be younger than 0.
  timespec now{};
  if (clock_gettime(CLOCK_REALTIME, &now) != 0) return fail_errno(errno, "read the clock");
  if (std::chrono::seconds(now.tv_sec - status.st_mtime) < age) return Fate::kYoung;
  // For hostd to hold, shared, from before it looks whether the image is there until its state names it.
  if (flock(image->get(), LOCK_EX | LOCK_NB) != 0) {
    const int saved = errno;
    if (saved == EWOULDBLOCK) return Fate::kUsed;
    return fail_errno(saved, "lock the image", to_string(digest));
  }
  const auto used = uses();
  if (!used) return forward(used.error());
  if (used->contains(digest)) return Fate::kUsed;
  const std::string name = to_hex(digest.bytes), leaving = std::string(kLeaving) + name;
  if (renameat(directory_.get(), name.c_str(), directory_.get(), leaving.c_str()) != 0) return fail_errno(errno, "take the image out", to_string(digest));
  if (auto synced = sync_directory(directory_.get()); !synced) return forward(synced.error());
  if (auto removed = remove_directory(leaving); !removed) return forward(removed.error());
  return Fate::kCollected;
}

Result<std::vector<Collected>> Store::collect(const Uses& uses, std::chrono::seconds age) const {
  const auto held = lock();
  if (!held) return forward(held.error());
  if (auto cleared = remove_unfinished(); !cleared) return forward(cleared.error());
  const auto all = list();
  if (!all) return forward(all.error());
  std::vector<Collected> out;
  for (const Digest& digest : *all) {
    const auto fate = collect_one(digest, uses, age);
    if (!fate) return forward(fate.error());
    out.push_back({digest, *fate});
  }
  return out;
}

}  // namespace mvm::images
