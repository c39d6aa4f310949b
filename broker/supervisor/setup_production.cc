#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "base/fd.h"
#include "broker/supervisor/setup.h"
#include "seccomp/gate.grants.h"
#include "seccomp/guest.grants.h"
#include "seccomp/jail.grants.h"
#include "seccomp/net.grants.h"
#include "seccomp/pages.grants.h"
#include "seccomp/snapshot.grants.h"
#include "seccomp/storage.grants.h"
#include "seccomp/supervisor.grants.h"

namespace mvm::supervisor {
namespace {

constexpr int kUsage = 64;  // EX_USAGE
constexpr const char* kStateDirectory = "/var/lib/mvm";
constexpr const char* kRunDirectory = "/run/mvm";
constexpr const char* kPolicyFile = "/etc/mvm/node.policy";
constexpr const char* kBootId = "/proc/sys/kernel/random/boot_id";
// Delegated by mvm-instances.service, so that microVMs outlive hostd.
constexpr const char* kCgroupRoot = "/sys/fs/cgroup/mvm.slice/mvm-instances.service";
constexpr const char* kFirecracker = "/usr/libexec/mvm/firecracker";  // the directory of `firecracker` and `jailer`
constexpr const char* kMemory = "/var/lib/mvm/memory";  // a tmpfs of its own (var-lib-mvm-memory.mount)
constexpr const char* kAgentUser = "mvm";
constexpr const char* kDeviceMapper = "/dev/mapper/control";
constexpr const char* kLoopControl = "/dev/loop-control";
constexpr const char* kBlockDevices = "/sys/block";
constexpr const char* kMiscDevices = "/proc/misc";

std::string read_boot_id() {
  const Fd fd(open(kBootId, O_RDONLY | O_CLOEXEC));
  char text[64];
  const ssize_t got = read(fd.get(), text, sizeof text);
  return got > 0 ? std::string(text, static_cast<std::size_t>(got)) : std::string("unknown");
}

}  // namespace

Setup setup(int argc, char** argv) {
  if (argc != 1) {
    std::fprintf(stderr, "usage: %s (it takes no arguments; what there is to say stands in %s)\n", argc > 0 ? argv[0] : "mvm-hostd", kPolicyFile);
    std::exit(kUsage);
  }
  const char* const credentials = std::getenv("CREDENTIALS_DIRECTORY");  // systemd's word for it
  return {.state = kStateDirectory,
          .run = kRunDirectory,
          .policy = kPolicyFile,
          .credentials = credentials != nullptr ? credentials : "",
          .cgroup = kCgroupRoot,
          .boot_id = read_boot_id(),
          .agent_user = kAgentUser,
          .own_user = std::string(grants::kSupervisor.user),
          .grants = grants::kSupervisor,
          .gate = {grants::kGate, std::string(grants::kGate.user), "/usr/libexec/mvm/mvm-gate", {}, {}, {}},
          .workers = {{{grants::kNet, std::string(grants::kNet.user), "/usr/libexec/mvm/mvm-net", {}, {}, {}},
                       {grants::kStorage, std::string(grants::kStorage.user), "/usr/libexec/mvm/mvm-storage", {kStateDirectory},
                        {"volumes", "nodes", "drives"}, {kDeviceMapper, kLoopControl}},
                       {grants::kSnapshot, std::string(grants::kSnapshot.user), "/usr/libexec/mvm/mvm-snapshot", {kStateDirectory, kMemory},
                        {"snapshots"}, {}},
                       {grants::kJail, std::string(grants::kJail.user), "/usr/libexec/mvm/mvm-jail",
                        {kCgroupRoot, kStateDirectory, kFirecracker, kMemory, "/usr/libexec/mvm/mvm-pages", std::string(grants::kPages.user), kBlockDevices, kMiscDevices}, {}, {}},
                       {grants::kGuest, std::string(grants::kGuest.user), "/usr/libexec/mvm/mvm-guest", {}, {}, {}}}},
          // Their order is that of each worker's descriptors.
          .joints = {{lang::Worker::kStorage, lang::Worker::kSnapshot}, {lang::Worker::kSnapshot, lang::Worker::kJail}, {lang::Worker::kJail, lang::Worker::kGuest}},
          .memory = kMemory};
}

}  // namespace mvm::supervisor
