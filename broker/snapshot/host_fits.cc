#include "broker/snapshot/host_fits.h"

#include <fcntl.h>
#include <sys/utsname.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string>

#include "base/fd.h"
#include "broker/beneath/beneath.h"

namespace mvm::snapshot {
namespace {

constexpr std::array<std::string_view, 6> kSaid = {"vendor_id", "cpu family", "model", "model name", "stepping", "flags"};
constexpr std::size_t kMaxCpuinfo = 16 << 20;  // some kilobytes a CPU

std::string_view name_in(std::string_view line) {
  line = line.substr(0, line.find(':'));
  while (!line.empty() && (line.back() == ' ' || line.back() == '\t')) line.remove_suffix(1);
  return line;
}

}  // namespace

Result<Digest> cpu_digest(std::string_view cpuinfo) {
  std::string said;
  while (!cpuinfo.empty()) {
    const std::string_view line = cpuinfo.substr(0, cpuinfo.find('\n'));
    cpuinfo.remove_prefix(std::min(cpuinfo.size(), line.size() + 1));
    if (line.empty()) break;  // the next CPU
    if (std::ranges::find(kSaid, name_in(line)) != kSaid.end()) said += std::string(line) + "\n";
  }
  if (said.empty()) return fail(Errc::kUnsupported, "find out what CPU this is");
  return sha256(said);
}

Result<HostFits> read_host_fits() {
  utsname kernel{};
  if (uname(&kernel) != 0) return fail_errno(errno, "uname");
  const Fd file(open("/proc/cpuinfo", O_RDONLY | O_CLOEXEC));
  const int saved = errno;
  if (!file.valid()) return fail_errno(saved, "open", "/proc/cpuinfo");
  const auto text = read_all(file.get(), kMaxCpuinfo);
  if (!text) return forward(text.error());
  const auto cpu = cpu_digest(*text);
  if (!cpu) return forward(cpu.error());
  return HostFits{sha256(std::string(kernel.release) + "\n" + kernel.version), *cpu};
}

}  // namespace mvm::snapshot
