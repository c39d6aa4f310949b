// One microVM from nothing to running, and back to nothing. Every step of a make that fails is followed by the undoing of
// all of it, here, in sight: kill what is in the cgroup, wait, remove the jail.
// Owns the cgroups and the jails of the node; nothing it knows is kept anywhere but in the kernel and the file system.
// Proven by: tests/jail/jail_kernel_test.cc.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "broker/jail/api.h"
#include "broker/jail/balloon.h"
#include "broker/jail/cgroup.h"
#include "broker/jail/jail_directory.h"
#include "broker/jail/memory_directory.h"
#include "broker/jail/vmm_process.h"
#include "broker/jail/wakes.h"
#include "broker/jail/way.h"
#include "schemas/worker.h"

namespace mvm::jail {

// Until all that was killed is gone. A process in an uninterruptible wait on a dead disk can take longer; then it is said.
inline constexpr std::chrono::milliseconds kKillTime{10'000};
// Until a VMM that was started listens.
inline constexpr std::chrono::milliseconds kListenTime{10'000};

// Until all of its memory is written, or loaded: some hundred MiB a second where the machine is slow, below the supervisor's deadline.
inline constexpr std::chrono::milliseconds kSnapshotTime{75'000};
// Until a page server says that it is ready, and until it is done: that of the largest guest.
inline constexpr std::chrono::milliseconds kReadyTime{20'000};
inline constexpr std::chrono::milliseconds kServeTime{600'000};

// mvm-pages, and whom it becomes.
struct PageServers {
  Fd executable;
  const sandbox::Grants* grants = nullptr;
  sandbox::User user;
};

class Microvms {
 public:
  // `firecracker`: absolute path of the directory that has `firecracker` and `jailer`.
  Microvms(Cgroups& cgroups, JailDirectories& jails, MemoryDirectories& memory, Wakes& wakes, PageServers pages, std::string firecracker, Way way)
      : cgroups_(cgroups), jails_(jails), memory_(memory), wakes_(wakes), pages_(std::move(pages)), firecracker_(std::move(firecracker)), way_(way) {}

  // The statement is a jail's, and the manifest its image's. What boots from a snapshot, which was handed over before, is left paused: release() lets it run. On an error nothing
  // of it is left, or the error says so.
  [[nodiscard]] Result<Vmm> make(const lang::Statement& jail, const wire::Place& place, const lang::Manifest& image);
  [[nodiscard]] Status release(const lang::Statement& jail);
  // Ends it, waits until it is gone, and removes its jail. Already gone is success. The cgroup stays.
  [[nodiscard]] Status unmake(const Subject& instance);
  // running>warm, warm>running.
  [[nodiscard]] Status move(const lang::Statement& jail);

  // Of a guest that has parked, whose memory is that much; and before it goes on, which may be done twice (balloon.h).
  [[nodiscard]] Result<Inflated> inflate_balloon(const Subject& instance, std::uint32_t mem_mib) const;
  [[nodiscard]] Status deflate_balloon(const Subject& instance) const;

  // To where the host's side of its vsock begins: a non-blocking stream.
  [[nodiscard]] Result<Fd> connect_to_guest(const Subject& instance) const;

  // Has a paused microVM's state written into its memory directory, holds it there, and gives its memory to the snapshot worker to be read. Where that cannot be, its
  // memory is written beside the state. While any of it is there its cgroup may have that much more. On an error it is as before.
  struct Dumped {
    Digest vmm;         // of Firecracker's version
    std::string whole;  // why all of its memory had to be written; empty: it had not
  };
  [[nodiscard]] Result<Dumped> dump(const lang::Statement& snapshot, std::uint32_t mem_mib);
  // Takes away what dump() made, whoever died meanwhile. Nothing there is success.
  [[nodiscard]] Status clear(const Subject& instance);
  // What a worker that died in the middle has left of it: dumps are cleared; and a microVM whose page server nobody hears any more is ended.
  [[nodiscard]] Status settle(const Subject& instance);
  // Its page server has ended well: what was touched is noted for the next snapshot.
  [[nodiscard]] Status woke(const Subject& instance, std::span<const std::uint32_t> touched);

  // The one process of a microVM that is up; kNotFound: none.
  [[nodiscard]] Result<Vmm> find(const Subject& instance) const;
  // lang::kRunning or kWarm, by its own word. kDenied: it was never started.
  [[nodiscard]] Result<std::uint64_t> state(const Subject& instance) const;

 private:
  [[nodiscard]] Result<Vmm> build(const lang::Statement& jail, const wire::Place& place, const lang::Manifest& image, int cgroup);
  [[nodiscard]] Status boot(Api& api, const lang::Statement& jail, const wire::Place& place, int root);
  [[nodiscard]] Status load(Api& api, const lang::Statement& jail, const wire::Place& place, int root, const Digest& vmm);
  // Its page server runs and has the snapshot open when this returns, or has ended and all of the memory is in a file. The version of Firecracker that has
  // to load it.
  [[nodiscard]] Result<Digest> start_page_server(const lang::Statement& jail, const wire::Place& place, int cgroup);
  [[nodiscard]] Status launch(const lang::Statement& jail, const wire::Place& place, int cgroup, const class Said& said);
  [[nodiscard]] Result<Fd> connect(const Subject& instance, int cgroup, const char* socket) const;
  [[nodiscard]] Result<Api> connect(const Subject& instance, int cgroup) const;
  // What a page server is given beside the sealed file: a socket that listens, or a file for all of the memory.
  [[nodiscard]] Result<Fd> where_memory_goes(const lang::Statement& jail, const wire::Place& place, int cgroup, int directory) const;
  // The state is written, and the VMM opens what it is to write its memory into, and waits.
  [[nodiscard]] Status hold(Api& api, const VmmProcess& vmm, int cgroup, int directory, uid_t uid) const;
  // Where it is held, to the snapshot worker.
  [[nodiscard]] Status give_memory(const lang::Statement& snapshot, std::uint32_t mem_mib, VmmProcess vmm) const;
  [[nodiscard]] Status dump_whole(const Subject& instance, std::uint32_t mem_mib, int cgroup, int directory, uid_t uid) const;
  // Bytes that a cgroup needs for another file of all of the memory.
  [[nodiscard]] static std::uint64_t with_its_memory_once_more(std::uint32_t mem_mib);
  // The cgroup may have that many bytes more until the limit is put back; what it was is noted by that name.
  [[nodiscard]] Status raise_limit(int cgroup, int directory, const char* name, std::uint64_t more) const;
  [[nodiscard]] Status put_back_limit(const Subject& instance, const char* name) const;

  Cgroups& cgroups_;
  JailDirectories& jails_;
  MemoryDirectories& memory_;
  Wakes& wakes_;
  PageServers pages_;
  std::string firecracker_;
  Way way_;
};

}  // namespace mvm::jail
