#include "cli/preflight.h"

#include <sys/stat.h>
#include <sys/utsname.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>

#include "base/digest.h"
#include "cli/probes.h"
#include "planner/files.h"

namespace mvm::cli {
namespace {

constexpr std::size_t kManyMounts = 200;
constexpr std::size_t kMaxBinary = 64 << 20;

Finding required(std::string check, bool good, std::string reading, std::string remedy) {
  return {std::move(check), good ? Verdict::kPass : Verdict::kFail, std::move(reading), good ? "" : std::move(remedy)};
}

Finding wanted(std::string check, bool good, std::string reading, std::string remedy) {
  return {std::move(check), good ? Verdict::kPass : Verdict::kWarn, std::move(reading), good ? "" : std::move(remedy)};
}

std::optional<std::string> content(const std::string& path) {
  std::ifstream file(path);
  if (!file) return std::nullopt;
  std::ostringstream text;
  text << file.rdbuf();
  std::string all = text.str();
  while (!all.empty() && all.back() == '\n') all.pop_back();
  return all;
}

Finding check_kvm() {
  const auto version = kvm_api_version();
  return required("/dev/kvm opens, KVM API version 12", version && *version == 12,
                  version ? "version " + std::to_string(*version) : version.error().message(),
                  "load kvm_intel or kvm_amd, and switch virtualisation on in the firmware");
}

Finding check_cgroups(const PreflightPaths& paths) {
  const auto found = content(paths.root + "/sys/fs/cgroup/cgroup.controllers");
  std::string missing;
  for (const char* name : {"cpu", "memory", "pids", "io"}) {
    if ((" " + found.value_or("") + " ").find(std::string(" ") + name + " ") == std::string::npos) missing += std::string(" ") + name;
  }
  return required("cgroup v2, controllers cpu memory pids io", found && missing.empty(),
                  found ? "controllers: " + *found : "no cgroup v2 at /sys/fs/cgroup",
                  found ? "enable the controllers:" + missing : "boot with systemd.unified_cgroup_hierarchy=1");
}

Finding check_nftables() {
  const Status made = probe_nftables();
  return required("nftables: inet, bridge and netdev tables can be made", made.has_value(), made ? "made, in a namespace" : made.error().message(),
                  "load nf_tables, and run as root");
}

Finding check_kernel_calls() {
  const int abi = landlock_abi();
  std::string missing;
  if (!seccomp_can_kill_process()) missing += " seccomp-kill-process";
  if (abi < 1) missing += " landlock";
  if (!has_pidfd()) missing += " pidfd";
  if (!has_clone3()) missing += " clone3";
  if (!has_openat2()) missing += " openat2";
  return required("seccomp, Landlock, pidfd, clone3, openat2", missing.empty(),
                  missing.empty() ? "Landlock ABI " + std::to_string(abi) : "missing:" + missing,
                  "run a kernel of 6.1 or later with lsm=landlock,...");
}

Finding check_device_mapper() {
  struct stat control {};
  const bool there = stat("/dev/mapper/control", &control) == 0 && S_ISCHR(control.st_mode);
  return wanted("device-mapper, for images and data drives", there, there ? "/dev/mapper/control" : "no /dev/mapper/control", "load dm_mod, dm_crypt and dm_verity");
}

Finding check_userfaultfd() {
  const bool there = has_userfaultfd();
  return wanted("userfaultfd, for waking page by page", there, there ? "page by page" : "no /dev/userfaultfd: whole, all of it in memory before the guest runs, and up to twice as much until it sleeps again",
                "run a kernel of 6.1 or later with CONFIG_USERFAULTFD");
}

// The jail worker reads a VMM as the VMM's user, which Yama (Documentation/admin-guide/LSM/Yama.rst) may forbid.
Finding check_reading(const PreflightPaths& paths) {
  const std::string scope = content(paths.root + "/proc/sys/kernel/yama/ptrace_scope").value_or("0");
  const bool may = scope == "0";
  return wanted("a VMM's memory is read by who may read it, for sleeping", may, may ? "sealed as it stands" : "Yama forbids it: all of it is written before it is sealed, so a guest takes up to twice its memory for that long",
                "sysctl kernel.yama.ptrace_scope=0");
}

Finding check_swap(const PreflightPaths& paths) {
  const std::string swaps = content(paths.root + "/proc/swaps").value_or("");
  std::istringstream lines(swaps);
  std::string line, open_swaps;
  std::getline(lines, line);
  while (std::getline(lines, line)) {
    const std::string device = line.substr(0, line.find_first_of(" \t"));
    std::error_code ignored;
    const std::string name = std::filesystem::canonical(device, ignored).filename().string();
    if (content(paths.root + "/sys/block/" + name + "/dm/uuid").value_or("").starts_with("CRYPT-")) continue;
    if (name.starts_with("zram")) continue;  // memory, not a disk
    open_swaps += " " + device;
  }
  return required("no swap that is not encrypted", open_swaps.empty(), open_swaps.empty() ? "none" : "unencrypted:" + open_swaps,
                  "swapoff it, or put it on dm-crypt with a random key");
}

// The first of a path and its parents that somebody but root may write, or that is not there.
std::string unsafe_part(const std::string& path) {
  std::filesystem::path part = path;
  while (true) {
    struct stat status {};
    if (lstat(part.c_str(), &status) != 0) return part.string() + " is not there";
    if (S_ISLNK(status.st_mode)) return part.string() + " is a symlink";
    if (status.st_uid != 0) return part.string() + " is not root's";
    const bool sticky_root = S_ISDIR(status.st_mode) && (status.st_mode & S_ISVTX) != 0 && part != std::filesystem::path(path);
    if ((status.st_mode & 022) != 0 && !sticky_root) return part.string() + " may be written by others";
    if (part == part.parent_path()) return {};
    part = part.parent_path();
  }
}

Finding check_owned(const std::string& what, const std::string& path) {
  const std::string unsafe = unsafe_part(path);
  return required(what + " and its parents may be written by root alone", unsafe.empty(), unsafe.empty() ? path : unsafe,
                  "chown root and chmod go-w, or install again");
}

bool is_pinned(const PreflightPaths& paths, const std::string& name) {
  const auto bytes = planner::read_file(-100, paths.binaries + "/" + name, kMaxBinary);
  return bytes && content(paths.pins).value_or("").find(to_hex(sha256(*bytes).bytes) + "  " + name) != std::string::npos;
}

// A binary's path, to be run. It is run as root, so it is none where it is another's to change, or is not the one pinned.
Result<std::string> trusted(const PreflightPaths& paths, const std::string& name) {
  std::string path = paths.binaries + "/" + name;
  const std::string unsafe = unsafe_part(path);
  if (!unsafe.empty()) return fail(Errc::kDenied, "run " + name + ": " + unsafe);
  if (!is_pinned(paths, name)) return fail(Errc::kDenied, "run " + name + ": it is not the one pinned in " + paths.pins);
  return path;
}

Result<std::string> said_by(const Result<std::string>& path, const char* option) { return path ? first_line_of(*path, option) : path; }

Finding check_versions(const PreflightPaths& paths, const Result<std::string>& firecracker) {
  std::array<std::string, 2> versions;
  const std::array<std::string, 2> names = {"firecracker", "jailer"};
  const std::array<Result<std::string>, 2> binaries = {firecracker, trusted(paths, "jailer")};
  std::string trouble;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto line = said_by(binaries[i], "--version");
    if (!line) {
      trouble += "cannot " + line.error().message() + "; ";
      continue;
    }
    const std::size_t at = line->find(" v");
    versions[i] = at == std::string::npos ? *line : line->substr(at + 1);
    if (has_known_hole(versions[i])) trouble += names[i] + " " + versions[i] + " has a known hole; ";
  }
  if (trouble.empty() && versions[0] != versions[1]) trouble = "the versions differ: firecracker " + versions[0] + ", jailer " + versions[1] + "; ";
  return required("firecracker and jailer: one version, pinned, without a known hole", trouble.empty(),
                  trouble.empty() ? versions[0] : trouble.substr(0, trouble.size() - 2),
                  "install a release of 1.15.1 or later, and pin it: sha256sum firecracker jailer > " + paths.pins);
}

// Firecracker is asked for the format of what it writes, which no other one reads. Its dirty page tracking is not used where it has it: that counts from what
// the microVM was loaded from, and a wake has spent that.
Finding check_snapshots(const Result<std::string>& firecracker) {
  const auto format = said_by(firecracker, "--snapshot-version");
  const bool says = format && format->starts_with('v');
  return wanted("snapshots, for sleeping", says,
                says ? "full, or diffs on their pool's base found by comparing pages, without dirty page tracking, which a wake leaves nothing to count from; compressed, after a balloon; Firecracker's format " + *format
                     : "no format: " + (format ? "firecracker says " + *format : "cannot " + format.error().message()),
                "install a release of Firecracker's");
}

Finding check_file(const PreflightPaths& paths, std::string check, const std::string& file, const std::vector<std::string>& good, std::string remedy) {
  const auto found = content(paths.root + file);
  if (!found) return {std::move(check), Verdict::kNotApplicable, file + " is not there", ""};
  return wanted(std::move(check), std::ranges::find(good, *found) != good.end(), *found, std::move(remedy));
}

Finding check_vulnerabilities(const PreflightPaths& paths) {
  std::string open;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(paths.root + "/sys/devices/system/cpu/vulnerabilities", ignored)) {
    if (content(entry.path().string()).value_or("").starts_with("Vulnerable")) open += " " + entry.path().filename().string();
  }
  return wanted("CPU vulnerabilities are mitigated", open.empty(), open.empty() ? "none open" : "open:" + open, "update kernel and microcode; do not boot with mitigations=off");
}

Finding check_console(const PreflightPaths& paths) {
  const std::string printk = content(paths.root + "/proc/sys/kernel/printk").value_or("");
  return wanted("the kernel's console is quiet", printk.starts_with("1"), "console loglevel " + printk.substr(0, printk.find('\t')), "boot with loglevel=1, or sysctl kernel.printk=1");
}

Finding check_mounts(const PreflightPaths& paths) {
  const std::string mounts = content(paths.root + "/proc/self/mountinfo").value_or("");
  const auto count = static_cast<std::size_t>(std::ranges::count(mounts, '\n')) + 1;
  return wanted("few mounts on the host", count <= kManyMounts, std::to_string(count) + " mounts", "jails are slow to make among many mounts: unmount what is not needed");
}

Finding check_kernel(const PreflightPaths& paths) {
  utsname name{};
  if (uname(&name) != 0) return {"kernel 6.1: nx_huge_pages or favordynmods", Verdict::kNotApplicable, "uname failed", ""};
  const std::string release = name.release;
  if (!release.starts_with("6.1.")) return {"kernel 6.1: nx_huge_pages or favordynmods", Verdict::kNotApplicable, release, ""};
  const std::string pages = content(paths.root + "/sys/module/kvm/parameters/nx_huge_pages").value_or("");
  const bool dynamic = content(paths.root + "/proc/self/mountinfo").value_or("").find("favordynmods") != std::string::npos;
  return wanted("kernel 6.1: nx_huge_pages or favordynmods", dynamic || pages == "never", release + ", nx_huge_pages " + pages, "mount cgroup2 with favordynmods, or kvm.nx_huge_pages=never where the CPU allows it");
}

}  // namespace

std::string_view to_string(Verdict verdict) {
  constexpr std::array<std::string_view, 4> kNames = {"pass", "warn", "fail", "n/a"};
  return kNames[static_cast<std::size_t>(verdict)];
}

bool has_known_hole(const std::string& version) {
  std::array<unsigned, 3> v{};
  const char* at = version.data();
  const char* const end = at + version.size();
  for (std::size_t i = 0; i < 3; ++i) {
    if (at == end || *at != (i == 0 ? 'v' : '.')) return true;
    const auto [next, wrong] = std::from_chars(at + 1, end, v[i]);
    if (wrong != std::errc{}) return true;
    at = next;
  }
  using Version = std::array<unsigned, 3>;
  return v <= Version{1, 13, 1} || v == Version{1, 14, 0} || (v >= Version{1, 13, 0} && v <= Version{1, 14, 3}) || v == Version{1, 15, 0};
}

std::vector<Finding> preflight(const PreflightPaths& paths) {
  const auto firecracker = trusted(paths, "firecracker");  // read and hashed once
  return {check_kvm(),
          check_cgroups(paths),
          check_nftables(),
          check_kernel_calls(),
          check_swap(paths),
          check_owned("the state directory", paths.state),
          check_owned("firecracker", paths.binaries + "/firecracker"),
          check_owned("jailer", paths.binaries + "/jailer"),
          check_versions(paths, firecracker),
          check_device_mapper(),
          check_userfaultfd(),
          check_reading(paths),
          check_snapshots(firecracker),
          check_file(paths, "SMT is off", "/sys/devices/system/cpu/smt/control", {"off", "forceoff", "notsupported", "notimplemented"},
                     "boot with nosmt: siblings share caches that tenants can read each other by"),
          check_file(paths, "KSM is off", "/sys/kernel/mm/ksm/run", {"0"}, "echo 0 > /sys/kernel/mm/ksm/run"),
          check_vulnerabilities(paths),
          check_kernel(paths),
          check_console(paths),
          check_mounts(paths),
          check_file(paths, "IPv4 is forwarded, for tenants with egress", "/proc/sys/net/ipv4/ip_forward", {"1"}, "sysctl net.ipv4.ip_forward=1"),
          check_file(paths, "IPv4's reverse path is not checked loosely for all links", "/proc/sys/net/ipv4/conf/all/rp_filter", {"0", "1"}, "sysctl net.ipv4.conf.all.rp_filter=1")};
}

bool may_start(const std::vector<Finding>& findings) {
  return std::ranges::none_of(findings, [](const Finding& finding) { return finding.verdict == Verdict::kFail; });
}

}  // namespace mvm::cli
