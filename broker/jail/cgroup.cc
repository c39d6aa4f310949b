#include "broker/jail/cgroup.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <ctime>

#include "base/derived.h"
#include "base/owned.h"
#include "broker/beneath/beneath.h"

namespace mvm::jail {
namespace {

constexpr std::array<std::string_view, 4> kControllers = {"cpu", "memory", "pids", "io"};
constexpr std::uint64_t kCpuPeriodUs = 100'000;
constexpr const char* kLeaf = "vm";
constexpr const char* kPagesLeaf = "pages";
constexpr std::size_t kMaxSmallFile = 4096;
constexpr std::size_t kMaxProcsFile = 64 * 1024;  // 4,096 tasks, the most that a cgroup line may allow

std::vector<std::string> names_of(const Subject& instance) {
  return {std::string(instance.tenant.view()), std::string(instance.pool.view()), to_string(instance.instance)};
}

void sleep_ms(long ms) {
  const timespec pause{ms / 1000, ms % 1000 * 1'000'000};
  (void)nanosleep(&pause, nullptr);
}

bool has_word(std::string_view text, std::string_view word) {
  for (std::size_t at = text.find(word); at != std::string_view::npos; at = text.find(word, at + 1)) {
    const bool starts = at == 0 || text[at - 1] == ' ';
    const std::size_t end = at + word.size();
    if (starts && (end == text.size() || text[end] == ' ' || text[end] == '\n')) return true;
  }
  return false;
}

// Lets the children of `cgroup` have the controllers.
Status delegate(int cgroup) {
  const auto usable = read_file(cgroup, "cgroup.controllers", kMaxSmallFile);
  if (!usable) return forward(usable.error());
  std::string enable;
  for (const std::string_view controller : kControllers) {
    if (!has_word(*usable, controller)) return fail(Errc::kUnsupported, "use the cgroup controller", std::string(controller));
    enable += (enable.empty() ? "+" : " +") + std::string(controller);
  }
  return write_file(cgroup, "cgroup.subtree_control", enable);
}

Status apply(int cgroup, const std::vector<Setting>& settings) {
  for (const Setting& setting : settings) {
    if (auto wrote = write_file(cgroup, setting.file, setting.value); !wrote) return wrote;
  }
  return {};
}

// A process that has just died can hold its cgroup for a moment longer than "populated 0" says.
Status remove_empty(int above, const std::string& path, Deadline deadline) {
  for (;;) {
    const int removed = unlinkat(above, path.c_str(), AT_REMOVEDIR);
    const int saved = errno;
    if (removed == 0 || saved == ENOENT) return {};
    if (saved != EBUSY || deadline.passed()) return fail_errno(saved, "remove the cgroup", path);
    sleep_ms(2);
  }
}

Status wait_until_empty(int cgroup, Deadline deadline) {
  const auto events = open_beneath(cgroup, "cgroup.events", O_RDONLY);
  if (!events) return forward(events.error());
  for (;;) {
    const auto now = population(cgroup);
    if (!now) return forward(now.error());
    if (*now == Population::kEmpty) return {};
    if (deadline.passed()) return fail(Errc::kTimeout, "wait for killed processes to be gone");
    // The kernel says with POLLPRI that the file has changed since it was read; the cap is for one that changed before.
    pollfd changed{events->get(), POLLPRI, 0};
    (void)poll(&changed, 1, std::min(deadline.left_ms(), 20));
  }
}

using Directory = Owned<DIR, &closedir>;

Result<std::vector<std::string>> directories_in(int above, const std::string& path) {
  auto fd = open_beneath(above, path, O_RDONLY | O_DIRECTORY);
  if (!fd) return forward(fd.error());
  Directory stream(fdopendir(fd->get()));
  const int saved = errno;
  if (stream == nullptr) return fail_errno(saved, "fdopendir", path);
  (void)fd->release();
  std::vector<std::string> names;
  while (const dirent* entry = readdir(stream.get())) {
    if (entry->d_type == DT_DIR && entry->d_name[0] != '.') names.emplace_back(entry->d_name);
  }
  return names;
}

// ENOENT: someone pruned it meanwhile, which is the same as empty.
Result<std::vector<std::string>> directories_or_none(int above, const std::string& path) {
  auto names = directories_in(above, path);
  if (!names && names.error().sys_errno == ENOENT) return std::vector<std::string>{};
  return names;
}

}  // namespace

Result<std::vector<Setting>> settings_of(const lang::CgroupView& limits, const std::string& io_device) {
  std::vector<Setting> settings = {
      {"cpu.max", std::to_string(std::uint64_t{limits.cpu_percent} * kCpuPeriodUs / 100) + " " + std::to_string(kCpuPeriodUs)},
      {"memory.max", std::to_string(std::uint64_t{limits.mem_mib} << 20)},
      {"memory.swap.max", "0"},
      {"memory.oom.group", "1"},
      {"pids.max", std::to_string(limits.pids)}};
  if (limits.io_mib_per_s == 0) return settings;
  if (io_device.empty()) return fail(Errc::kUnsupported, "limit io: the state directory is on no block device", "io.max");
  const std::string rate = std::to_string(std::uint64_t{limits.io_mib_per_s} << 20);
  settings.push_back({"io.max", io_device + " rbps=" + rate + " wbps=" + rate});
  return settings;
}

Result<std::string> io_device_of(int directory) {
  struct stat info{};
  const int read = fstat(directory, &info);
  const int saved = errno;
  if (read != 0) return fail_errno(saved, "fstat the state directory");
  const std::string device = std::to_string(major(info.st_dev)) + ":" + std::to_string(minor(info.st_dev));
  // A link made by the kernel to the device's directory; a partition's parent is the disk.
  const std::string in_sys = "/sys/dev/block/" + device;
  if (access(in_sys.c_str(), F_OK) != 0) return std::string();
  if (access((in_sys + "/partition").c_str(), F_OK) != 0) return device;
  const Fd whole(::open((in_sys + "/../dev").c_str(), O_RDONLY | O_CLOEXEC));
  const int open_errno = errno;
  if (!whole.valid()) return fail_errno(open_errno, "find the disk of a partition", in_sys);
  auto text = read_all(whole.get(), kMaxSmallFile);
  if (text && text->ends_with('\n')) text->pop_back();
  return text;
}

Status Cgroups::make(const Subject& instance, const lang::CgroupView& limits) {
  const auto settings = settings_of(limits, io_device_);
  if (!settings) return forward(settings.error());
  const std::lock_guard hold(tree_);
  if (auto allowed = delegate(root_.get()); !allowed) return allowed;
  const auto names = names_of(instance);
  Fd above;
  for (std::size_t depth = 1; depth < names.size(); ++depth) {
    auto next = make_directories(above.valid() ? above.get() : root_.get(), std::span(names).subspan(depth - 1, 1));
    if (!next) return forward(next.error());
    above = std::move(*next);
    if (auto allowed = delegate(above.get()); !allowed) return allowed;
  }
  const int made = mkdirat(above.get(), names.back().c_str(), 0700);
  const int saved = errno;
  if (made != 0 && saved == EEXIST) return fail(Errc::kExists, "make the cgroup", instance_path(instance));
  if (made != 0) return fail_errno(saved, "make the cgroup", instance_path(instance));
  const auto own = open_beneath(above.get(), names.back(), O_RDONLY | O_DIRECTORY);
  Status done = own ? apply(own->get(), *settings) : forward(own.error());
  if (!done) prune(root_.get(), names);
  return done;
}

Status Cgroups::remove(const Subject& instance, Deadline deadline) {
  const auto cgroup = open(instance);
  if (!cgroup && cgroup.error().code == Errc::kNotFound) return {};
  if (!cgroup) return forward(cgroup.error());
  if (auto killed = kill_all(cgroup->get(), deadline); !killed) return killed;
  const std::lock_guard hold(tree_);
  const auto names = names_of(instance);
  if (auto removed = remove_empty(root_.get(), instance_path(instance), deadline); !removed) return removed;
  prune(root_.get(), std::span(names).first(2));
  return {};
}

Result<Fd> Cgroups::open(const Subject& instance) const {
  auto fd = open_beneath(root_.get(), instance_path(instance), O_RDONLY | O_DIRECTORY);
  if (!fd && fd.error().sys_errno == ENOENT) return fail(Errc::kNotFound, "open the cgroup", instance_path(instance));
  return fd;
}

Result<std::vector<Subject>> Cgroups::list() const { return instances_below(root_.get()); }

Result<Population> population(int cgroup) {
  const auto events = read_file(cgroup, "cgroup.events", kMaxSmallFile);
  if (!events) return forward(events.error());
  if (events->starts_with("populated 0\n")) return Population::kEmpty;
  if (events->starts_with("populated 1\n")) return Population::kPopulated;
  return fail(Errc::kCorrupt, "read cgroup.events");
}

namespace {

// At the beginning of a line, with nothing behind it.
Result<std::uint64_t> read_number(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end == text.data() + text.size() || *end != '\n') return fail(Errc::kCorrupt, "read a number of the cgroup's");
  return number;
}

}  // namespace

Result<Usage> usage(int cgroup) {
  const auto stat = read_file(cgroup, "cpu.stat", kMaxSmallFile);
  if (!stat) return forward(stat.error());
  constexpr std::string_view kUsage = "usage_usec ";  // its first line
  if (!stat->starts_with(kUsage)) return fail(Errc::kCorrupt, "read cpu.stat");
  const auto cpu = read_number(std::string_view(*stat).substr(kUsage.size()));
  if (!cpu) return forward(cpu.error());
  const auto current = read_file(cgroup, "memory.current", kMaxSmallFile);
  if (!current && current.error().sys_errno == ENOENT) return Usage{*cpu, std::nullopt};
  if (!current) return forward(current.error());
  const auto memory = read_number(*current);
  if (!memory) return forward(memory.error());
  return Usage{*cpu, *memory};
}

Result<std::vector<pid_t>> processes(int cgroup) {
  const auto text = read_file(cgroup, std::string(kLeaf) + "/cgroup.procs", kMaxProcsFile);
  if (!text && text.error().sys_errno == ENOENT) return std::vector<pid_t>{};
  if (!text) return forward(text.error());
  std::vector<pid_t> pids;
  const char* at = text->data();
  const char* const end = at + text->size();
  while (at != end) {
    pid_t pid = 0;
    const auto [next, error] = std::from_chars(at, end, pid);
    if (error != std::errc() || next == end || *next != '\n') return fail(Errc::kCorrupt, "read cgroup.procs");
    pids.push_back(pid);
    at = next + 1;
  }
  return pids;
}

Result<Fd> make_leaf(int cgroup) {
  (void)unlinkat(cgroup, kLeaf, AT_REMOVEDIR);  // of an earlier start
  const int made = mkdirat(cgroup, kLeaf, 0700);
  const int saved = errno;
  if (made != 0) return fail_errno(saved, "make the leaf of the cgroup");
  return open_beneath(cgroup, kLeaf, O_RDONLY | O_DIRECTORY);
}

Result<Fd> make_pages_leaf(int cgroup) {
  (void)unlinkat(cgroup, kPagesLeaf, AT_REMOVEDIR);  // of an earlier start
  if (mkdirat(cgroup, kPagesLeaf, 0700) != 0) return fail_errno(errno, "make the leaf of the page server");
  return open_beneath(cgroup, std::string(kPagesLeaf) + "/cgroup.procs", O_WRONLY);
}

Status kill_all(int cgroup, Deadline deadline) {
  const auto before = population(cgroup);
  if (!before) return forward(before.error());
  if (*before == Population::kPopulated) {
    if (auto wrote = write_file(cgroup, "cgroup.kill", "1"); !wrote) return wrote;
    if (auto empty = wait_until_empty(cgroup, deadline); !empty) return empty;
  }
  if (auto removed = remove_empty(cgroup, kPagesLeaf, deadline); !removed) return removed;
  return remove_empty(cgroup, kLeaf, deadline);
}

Result<std::vector<Subject>> instances_below(int root, const std::string& below) {
  std::vector<Subject> found;
  const auto tenants = directories_in(root, ".");
  if (!tenants) return forward(tenants.error());
  for (const std::string& tenant_text : *tenants) {
    const auto tenant = Name::from(tenant_text);
    if (!tenant) continue;
    const auto pools = directories_or_none(root, tenant_text);
    if (!pools) return forward(pools.error());
    for (const std::string& pool_text : *pools) {
      const auto pool = Name::from(pool_text);
      if (!pool) continue;
      const auto ids = directories_or_none(root, tenant_text + "/" + pool_text + (below.empty() ? "" : "/" + below));
      if (!ids) return forward(ids.error());
      for (const std::string& id_text : *ids) {
        if (const auto id = InstanceId::from(id_text)) found.push_back(instance_subject(*tenant, *pool, *id));
      }
    }
  }
  return found;
}

}  // namespace mvm::jail
