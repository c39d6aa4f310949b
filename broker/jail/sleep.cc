// What Microvms does of a microVM that goes to sleep, and what is left of one that was about to, or was waking, when a worker died.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <string>

#include "broker/beneath/beneath.h"
#include "broker/jail/microvm.h"
#include "broker/jail/requests.h"
#include "policy-lang/print.h"

namespace mvm::jail {
namespace {

constexpr const char* kLimit = "limit";
constexpr const char* kMemoryMax = "memory.max";
constexpr std::size_t kMaxLimit = 64;
constexpr const char *kMemory = "memory", *kHold = "hold";
constexpr std::array<const char*, 3> kDumped = {kHold, kMemory, "state"};
constexpr std::uint64_t kBesideMemory = 32ull << 20;  // for the state
constexpr std::uint64_t kKernelsPart = 64;            // what the kernel keeps of files in memory: eight bytes and a little a page
constexpr std::chrono::milliseconds kLookAgain{2};

std::uint64_t number_of(std::string_view text) {
  std::uint64_t value = 0;
  (void)std::from_chars(text.data(), text.data() + text.size(), value);
  return value;  // "max": 0
}

}  // namespace

std::uint64_t Microvms::with_its_memory_once_more(std::uint32_t mem_mib) {
  const std::uint64_t memory = std::uint64_t{mem_mib} << 20;
  return memory + memory / kKernelsPart + kBesideMemory;
}

// Where there is no such controller (tests), or no limit, there is nothing to raise.
Status Microvms::raise_limit(int cgroup, int directory, const char* name, std::uint64_t more) const {
  const auto limit = read_file(cgroup, kMemoryMax, kMaxLimit);
  if (!limit && limit.error().sys_errno == ENOENT) return {};
  if (!limit) return forward(limit.error());
  const std::uint64_t bytes = number_of(*limit);
  if (bytes == 0) return {};
  if (auto noted = note(directory, name, *limit); !noted) return noted;
  return write_file(cgroup, kMemoryMax, std::to_string(bytes + more));
}

// Where nothing is noted, or one of the two is gone, there is nothing to put back.
Status Microvms::put_back_limit(const Subject& instance, const char* name) const {
  const auto directory = memory_.open(instance);
  if (!directory) return directory.error().code == Errc::kNotFound ? Status{} : forward(directory.error());
  const auto limit = read_file(directory->get(), name, kMaxLimit);
  if (!limit && limit.error().sys_errno == ENOENT) return {};
  if (!limit) return forward(limit.error());
  const auto cgroup = cgroups_.open(instance);
  if (!cgroup && cgroup.error().code != Errc::kNotFound) return forward(cgroup.error());
  if (cgroup) {
    if (auto lowered = write_file(cgroup->get(), kMemoryMax, *limit); !lowered) return lowered;
  }
  return remove_files(directory->get(), std::array{name});
}

Result<Inflated> Microvms::inflate_balloon(const Subject& instance, std::uint32_t mem_mib) const {
  const auto cgroup = cgroups_.open(instance);
  if (!cgroup) return forward(cgroup.error());
  auto api = connect(instance, cgroup->get());
  return api ? inflate(*api, mem_mib) : forward(api.error());
}

Status Microvms::deflate_balloon(const Subject& instance) const {
  const auto cgroup = cgroups_.open(instance);
  if (!cgroup) return forward(cgroup.error());
  auto api = connect(instance, cgroup->get());
  return api ? deflate(*api) : forward(api.error());
}

Result<Microvms::Dumped> Microvms::dump(const lang::Statement& snapshot, std::uint32_t mem_mib) {
  const Subject& instance = snapshot.subject;
  const auto cgroup = cgroups_.open(instance);
  if (!cgroup) return forward(cgroup.error());
  const auto directory = memory_.open(instance);
  if (!directory) return forward(directory.error());
  const auto uid = jail_uid(directory->get());
  if (!uid) return forward(uid.error());
  if (is_noted(directory->get(), "waking")) return fail(Errc::kBusy, "put to sleep what is not all awake yet", to_string(instance));
  auto api = connect(instance, cgroup->get());
  if (!api) return forward(api.error());
  const auto version = api->version(Deadline(kCallTime));
  if (!version) return forward(version.error());
  Dumped dumped{sha256(*version), {}};
  const auto written = [&]() -> Status {
    auto vmm = VmmProcess::open(cgroup->get(), *uid);
    Status held = vmm ? hold(*api, *vmm, cgroup->get(), directory->get(), *uid) : forward(vmm.error());
    if (vmm && !held) return held;
    if (held) held = give_memory(snapshot, mem_mib, *std::move(vmm));
    if (held) return {};
    dumped.whole = held.error().message();
    if (auto let_go = clear(instance); !let_go) return let_go;
    return dump_whole(instance, mem_mib, cgroup->get(), directory->get(), *uid);
  }();
  if (written) return dumped;
  Error error = written.error();
  if (auto cleared = clear(instance); !cleared) error.tried += "; and clearing it away failed: " + cleared.error().message();
  return forward(std::move(error));
}

Status Microvms::hold(Api& api, const VmmProcess& vmm, int cgroup, int directory, uid_t uid) const {
  if (auto raised = raise_limit(cgroup, directory, kLimit, kBesideMemory); !raised) return raised;
  if (auto begun = memory_.begin_held_dump(directory, uid); !begun) return begun;
  const Request create = create_held_snapshot();
  const Deadline deadline(kSnapshotTime);
  if (auto asked = api.ask(create.method, create.path, create.body, deadline); !asked) return asked;
  for (;;) {
    const auto waits = vmm.waits_to_open(kHoldInVmm);
    if (!waits) return forward(waits.error());
    if (*waits == VmmProcess::Waits::kYes) return {};
    if (api.says_something(Deadline(kLookAgain))) break;
    if (deadline.passed()) return fail(Errc::kTimeout, "wait for a VMM to write its state");
  }
  auto refused = api.changed(create.method, create.path, Deadline(kCallTime));
  return refused ? fail(Errc::kMalformed, "believe a VMM that has written its memory nowhere") : refused;
}

Status Microvms::give_memory(const lang::Statement& snapshot, std::uint32_t mem_mib, VmmProcess vmm) const {
  const auto found = vmm.find_memory(std::uint64_t{mem_mib} << 20);
  if (!found) return forward(found.error());
  return snapshot::send_held_memory(wakes_.link(), {.instance = snapshot.subject, .line = lang::snapshot_digest(snapshot), .stretches = found->stretches,
                                                    .memory = vmm.take_memory(), .pagemap = found->anonymous ? vmm.take_pagemap() : Fd()});
}

Status Microvms::dump_whole(const Subject& instance, std::uint32_t mem_mib, int cgroup, int directory, uid_t uid) const {
  if (auto raised = raise_limit(cgroup, directory, kLimit, with_its_memory_once_more(mem_mib)); !raised) return raised;
  if (auto begun = memory_.begin_dump(directory, uid); !begun) return begun;
  auto api = connect(instance, cgroup);
  if (!api) return forward(api.error());
  const Request create = create_snapshot();
  return api->change(create.method, create.path, create.body, Deadline(kSnapshotTime));
}

Status Microvms::clear(const Subject& instance) {
  const auto directory = memory_.open(instance);
  if (!directory) return directory.error().code == Errc::kNotFound ? Status{} : forward(directory.error());
  const auto cgroup = cgroups_.open(instance);
  if (!cgroup && cgroup.error().code != Errc::kNotFound) return forward(cgroup.error());
  // Whoever is held goes on, now that somebody reads there, and fails at once, for it is no file. Whoever comes later finds nothing there, and can make nothing.
  const auto let_go = open_beneath(directory->get(), kHold, O_RDWR | O_NONBLOCK | O_NOFOLLOW);
  // One who still writes (we died, or gave up) would not fit into its limit: it answers when it has done. What it says is all the same.
  if (cgroup && is_noted(directory->get(), kMemory)) {
    if (auto api = connect(instance, cgroup->get())) (void)api->state(Deadline(kSnapshotTime));
  }
  if (auto removed = remove_files(directory->get(), kDumped); !removed) return removed;
  return put_back_limit(instance, kLimit);
}

Status Microvms::settle(const Subject& instance) {
  const auto directory = memory_.open(instance);
  if (!directory) return directory.error().code == Errc::kNotFound ? Status{} : forward(directory.error());
  // Whether its page server ends well, nobody would hear: a page that never comes would hold it for ever.
  if (is_noted(directory->get(), "waking")) return unmake(instance);
  return clear(instance);
}

Status Microvms::woke(const Subject& instance, std::span<const std::uint32_t> touched) {
  const auto directory = memory_.open(instance);
  if (!directory) return directory.error().code == Errc::kNotFound ? Status{} : forward(directory.error());
  const std::string_view text(reinterpret_cast<const char*>(touched.data()), touched.size_bytes());
  if (auto noted = note(directory->get(), "touched", text); !noted) return noted;
  return remove_files(directory->get(), std::array{"waking"});
}

}  // namespace mvm::jail
