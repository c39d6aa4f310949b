#include "cli/holders.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <fstream>
#include <set>
#include <sstream>

#include "base/fd.h"
#include "base/one_word.h"
#include "base/owned.h"

namespace mvm::cli {
namespace {

using Directory = Owned<DIR, &closedir>;

std::string number_of(dev_t device) { return std::to_string(major(device)) + ":" + std::to_string(minor(device)); }

std::string first_line(const std::string& path) {
  std::string line;
  std::ifstream file(path);
  std::getline(file, line);
  return line;
}

bool is_number(std::string_view name) {
  return !name.empty() && std::ranges::all_of(name, [](char c) { return c >= '0' && c <= '9'; });
}

class Search {
 public:
  Search(dev_t device, std::string proc, std::size_t max_looks) : device_(device), proc_(std::move(proc)), left_(max_looks) {}

  [[nodiscard]] Result<Held> run() {
    const Directory processes(opendir(proc_.c_str()));
    const int saved = errno;
    if (!processes) return fail_errno(saved, "list processes", proc_);
    while (const dirent* entry = readdir(processes.get())) {
      if (is_number(entry->d_name)) look_at(entry->d_name);
    }
    return std::move(held_);
  }

 private:
  // One that ends meanwhile holds nothing any more.
  void look_at(const std::string& process) {
    look_into(process, "/fd", "descriptor ");
    look_into(process, "/map_files", "");
    look_at_mounts(process);
  }

  // The first that is of the device, and how many more.
  void look_into(const std::string& process, const char* where, const std::string& what) {
    const Directory open(opendir((proc_ + "/" + process + where).c_str()));
    const int saved = errno;
    if (!open) {
      held_.unseen += saved == EACCES && !what.empty();
      return;
    }
    std::string first;
    std::size_t found = 0;
    while (const dirent* entry = readdir(open.get())) {
      if (entry->d_name[0] == '.' || !may_look() || !is_it(dirfd(open.get()), entry->d_name)) continue;
      if (++found == 1) first = entry->d_name;
    }
    if (found == 0) return;
    add(process, (what.empty() ? "a mapping" : what + one_word(first)) + (found > 1 ? " and " + std::to_string(found - 1) + " more" : ""));
  }

  // By the inode alone that the kernel has at hand: no file system is asked anything, and so none can keep us waiting.
  [[nodiscard]] bool is_it(int directory, const char* name) const {
    struct statx info {};
    if (statx(directory, name, AT_STATX_DONT_SYNC, STATX_TYPE, &info) != 0) return false;
    return S_ISBLK(info.stx_mode) && makedev(info.stx_rdev_major, info.stx_rdev_minor) == device_;
  }

  void look_at_mounts(const std::string& process) {
    struct stat space {};
    if (stat((proc_ + "/" + process + "/ns/mnt").c_str(), &space) != 0 || !spaces_.insert(space.st_ino).second) return;
    std::ifstream mounts(proc_ + "/" + process + "/mountinfo");
    for (std::string line; may_look() && std::getline(mounts, line);) {
      std::istringstream words(line);
      std::string id, parent, of, root, where;
      words >> id >> parent >> of >> root >> where;
      if (of == number_of(device_)) add(process, "mounted at " + one_word(where));
    }
  }

  [[nodiscard]] bool may_look() {
    held_.all = held_.all && left_ != 0;
    if (held_.all) --left_;
    return held_.all;
  }

  void add(const std::string& process, std::string how) {
    if (held_.holders.size() < kMaxHolders) held_.holders.push_back({process, one_word(first_line(proc_ + "/" + process + "/comm")), std::move(how)});
    else ++held_.more;
  }

  dev_t device_;
  std::string proc_;
  Held held_;
  std::set<ino_t> spaces_;
  std::size_t left_;
};

}  // namespace

std::optional<dev_t> device_of_name(const std::string& name, const std::string& block) {
  const Directory devices(opendir(block.c_str()));
  if (!devices) return std::nullopt;
  while (const dirent* entry = readdir(devices.get())) {
    const std::string path = block + "/" + entry->d_name;
    if (!std::string_view(entry->d_name).starts_with("dm-") || first_line(path + "/dm/name") != name) continue;
    unsigned first = 0, second = 0;
    if (std::sscanf(first_line(path + "/dev").c_str(), "%u:%u", &first, &second) == 2) return makedev(first, second);
  }
  return std::nullopt;
}

Result<Held> holders_of(dev_t device, const std::string& proc, std::size_t max_looks) { return Search(device, proc, max_looks).run(); }

}  // namespace mvm::cli
