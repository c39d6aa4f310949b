#include "broker/jail/microvm.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>

#include "broker/beneath/beneath.h"
#include "broker/jail/launch.h"
#include "broker/jail/requests.h"

namespace mvm::jail {
namespace {

// A binary that root alone can change, reached by no symlink; the jailer follows its path once more (v1.16.1), and can then
// reach nothing else.
Result<Fd> open_binary(const std::string& path) {
  auto file = open_absolute(path, O_PATH);
  if (!file) return file;
  struct stat info{};
  const int read = fstat(file->get(), &info);
  const int saved = errno;
  if (read != 0) return fail_errno(saved, "fstat", path);
  if (!S_ISREG(info.st_mode) || info.st_uid != 0 || (info.st_mode & 022) != 0 || (info.st_mode & 0111) == 0) {
    return fail(Errc::kDenied, "run a binary that is not root's alone", path);
  }
  return file;
}

// Firecracker listens some milliseconds after the jailer has gone.
Result<Api> wait_for_api(int root, const Peer& peer, const Said& said) {
  const Deadline deadline(kListenTime);
  for (;;) {
    auto api = Api::connect(root, peer);
    if (api || api.error().code != Errc::kNotFound) return api;
    const auto left = population(peer.cgroup);
    if (!left) return forward(left.error());
    if (*left == Population::kEmpty) return fail(Errc::kClosed, "wait for the VMM, which has ended", said.quoted());
    if (deadline.passed()) return fail(Errc::kTimeout, "wait for the VMM to listen", said.quoted());
    const timespec pause{0, 2'000'000};
    (void)nanosleep(&pause, nullptr);
  }
}

Status send(Api& api, const Request& request, std::chrono::milliseconds time = kCallTime) {
  return api.change(request.method, request.path, request.body, Deadline(time));
}

constexpr const char* kWaking = "waking";
constexpr const char* kLent = "lent";
constexpr std::array<const char*, 3> kOfAWake = {"state", "uffd.sock", "memory"};

Status configure(Api& api, const lang::Statement& jail, const wire::Place& place) {
  const auto version = api.version(Deadline(kCallTime));
  if (!version) return forward(version.error());
  if (auto supported = check_version(*version); !supported) return supported;
  for (const Request& request : configuration(jail, place)) {
    if (auto done = send(api, request); !done) return done;
  }
  return {};
}

}  // namespace

Result<Vmm> Microvms::make(const lang::Statement& jail, const wire::Place& place, const lang::Manifest& image) {
  if (place.uid == 0) return fail(Errc::kDenied, "jail a microVM as root", to_string(jail.subject));
  const auto cgroup = cgroups_.open(jail.subject);
  if (!cgroup) return forward(cgroup.error());
  const auto living = population(cgroup->get());
  if (!living) return forward(living.error());
  if (*living == Population::kPopulated) return fail(Errc::kBusy, "make a jail: its cgroup has processes", to_string(jail.subject));
  // What is left of a jail whose process has gone; nothing lives in it.
  if (auto clean = jails_.remove(jail.subject); !clean) return forward(clean.error());
  if (auto back = put_back_limit(jail.subject, kLent); !back) return forward(back.error());
  if (auto clean = memory_.remove(jail.subject); !clean) return forward(clean.error());
  auto built = build(jail, place, image, cgroup->get());
  if (built) return built;
  if (auto undone = unmake(jail.subject); !undone) {
    Error both = built.error();
    both.tried += "; and undoing it failed: " + undone.error().message();
    return forward(std::move(both));
  }
  return built;
}

Result<Vmm> Microvms::build(const lang::Statement& jail, const wire::Place& place, const lang::Manifest& image, int cgroup) {
  const bool wakes = lang::jail_view(jail).boot == lang::kBootSnapshot;
  if (auto ready = jails_.prepare(jail.subject); !ready) return forward(ready.error());
  if (auto placed = jails_.place_rootfs(jail.subject, lang::jail_view(jail).image, place.uid); !placed) return forward(placed.error());
  if (!wakes) {
    if (auto placed = jails_.place_kernel(jail.subject, lang::jail_view(jail).image, image.kernel); !placed) return forward(placed.error());
  }
  if (auto ready = memory_.prepare(jail.subject, place.uid); !ready) return forward(ready.error());
  if (auto placed = jails_.place_drives(jail.subject, place.drives, place.uid); !placed) return forward(placed.error());
  const auto vmm = wakes ? start_page_server(jail, place, cgroup) : Result<Digest>(Digest{});
  if (!vmm) return forward(vmm.error());
  const auto said = Said::make();
  if (!said) return forward(said.error());
  if (auto launched = launch(jail, place, cgroup, *said); !launched) return forward(launched.error());
  const auto root = jails_.open_root(jail.subject);
  if (!root) return forward(root.error());
  auto api = wait_for_api(root->get(), {place.uid, cgroup}, *said);
  if (!api) return forward(api.error());
  auto up = wakes ? load(*api, jail, place, root->get(), *vmm) : boot(*api, jail, place, root->get());
  if (!up) return forward(up.error());
  return vmm_in(cgroup);
}

Status Microvms::boot(Api& api, const lang::Statement& jail, const wire::Place& place, int root) {
  if (auto configured = configure(api, jail, place); !configured) return configured;
  if (auto closed = close_jail(root); !closed) return closed;
  if (auto started = send(api, start(), kStartTime); !started) return started;
  if (auto removed = jails_.remove_kernel(jail.subject); !removed) return removed;
  return lang::jail_view(jail).state == lang::kWarm ? send(api, pause()) : Status{};
}

Result<Digest> Microvms::start_page_server(const lang::Statement& jail, const wire::Place& place, int cgroup) {
  auto handed = wakes_.take(jail.subject, lang::jail_view(jail).boot_digest);
  if (!handed) return forward(handed.error());
  const auto directory = memory_.open(jail.subject);
  if (!directory) return forward(directory.error());
  // From here on whoever finds the microVM and no page server of it ends it.
  if (auto noted = note(directory->get(), kWaking, {}); !noted) return forward(noted.error());
  if (auto placed = memory_.place_state(directory->get(), handed->state.get(), place.uid); !placed) return forward(placed.error());
  const auto gets = where_memory_goes(jail, place, cgroup, directory->get());
  if (!gets) return forward(gets.error());
  const auto procs = make_pages_leaf(cgroup);
  if (!procs) return forward(procs.error());
  auto kill = open_beneath(cgroup, "cgroup.kill", O_WRONLY);
  if (!kill) return forward(kill.error());
  const snapshot::PageServer server{.executable = pages_.executable.get(), .grants = *pages_.grants, .user = pages_.user, .snapshot = handed->file.get(),
                                    .base = handed->base.get(), .listener = gets->get(), .cgroup_procs = procs->get(), .becomes = sandbox::Becomes::kPlainUser};
  auto waking = snapshot::Waking::start_ordered(server, std::move(handed->ours), handed->theirs, std::move(*kill), Wakes::Clock::now() + kServeTime);
  handed->theirs.reset();  // or its end would not be seen
  if (!waking) return forward(waking.error());
  if (auto watched = wakes_.watch(jail.subject, std::move(*waking)); !watched) return forward(watched.error());
  if (auto ready = wakes_.wait_for(jail.subject, snapshot::Stage::kReady, Deadline(kReadyTime)); !ready) return forward(ready.error());
  if (way_ == Way::kWhole) {
    if (auto whole = wakes_.wait_for(jail.subject, snapshot::Stage::kWhole, Deadline(kSnapshotTime)); !whole) return forward(whole.error());
  }
  return handed->vmm;
}

Result<Fd> Microvms::where_memory_goes(const lang::Statement& jail, const wire::Place& place, int cgroup, int directory) const {
  if (way_ == Way::kPageByPage) return listen_for_pages(directory, place.uid);
  // The guest's own pages come beside those of the file as it writes to them, and the kernel cannot be told which of the file's are needed no more.
  if (auto raised = raise_limit(cgroup, directory, kLent, with_its_memory_once_more(lang::jail_view(jail).mem_mib)); !raised) return forward(raised.error());
  return memory_.begin_memory(directory, place.uid);
}

Status Microvms::load(Api& api, const lang::Statement& jail, const wire::Place& place, int root, const Digest& vmm) {
  const auto version = api.version(Deadline(kCallTime));
  if (!version) return forward(version.error());
  if (sha256(*version) != vmm) return fail(Errc::kDenied, "load a snapshot that another version of Firecracker wrote than", *version);
  if (way_ == Way::kPageByPage) {
    if (auto placed = place_userfaultfd(root, place.uid); !placed) return placed;
  }
  if (auto loaded = send(api, load_snapshot(way_), kSnapshotTime); !loaded) return loaded;
  for (const Request& limit : limits(place)) {
    if (auto set = send(api, limit); !set) return set;
  }
  if (auto told = send(api, metadata(jail, place)); !told) return told;
  if (auto closed = close_jail(root); !closed) return closed;
  const auto directory = memory_.open(jail.subject);
  return directory ? remove_files(directory->get(), kOfAWake) : forward(directory.error());
}

Status Microvms::release(const lang::Statement& jail) {
  if (lang::jail_view(jail).state == lang::kWarm) return {};
  const auto cgroup = cgroups_.open(jail.subject);
  if (!cgroup) return forward(cgroup.error());
  auto api = connect(jail.subject, cgroup->get());
  if (!api) return forward(api.error());
  return send(*api, resume());
}

Status Microvms::launch(const lang::Statement& jail, const wire::Place& place, int cgroup, const Said& said) {
  const auto jailer = open_binary(firecracker_ + "/jailer");
  if (!jailer) return forward(jailer.error());
  const std::string firecracker = firecracker_ + "/firecracker";
  if (auto usable = open_binary(firecracker); !usable) return forward(usable.error());
  const auto leaf = make_leaf(cgroup);
  if (!leaf) return forward(leaf.error());
  const auto command = jailer_command({jail.subject.instance, firecracker, jails_.base_path(jail.subject), place.uid, lang::jail_view(jail).mem_mib});
  auto binds = jails_.give_file_drives(jail.subject, place.drives, place.uid);
  if (!binds) return forward(binds.error());
  binds->push_back({memory_.path(jail.subject), jails_.root_path(jail.subject) + "/" + kMemoryInJail, Bind::Writes::kAllowed});
  return run_jailer(jailer->get(), leaf->get(), command, *binds, said, Deadline(kJailerTime));
}

Status Microvms::unmake(const Subject& instance) {
  const auto cgroup = cgroups_.open(instance);
  if (!cgroup && cgroup.error().code != Errc::kNotFound) return forward(cgroup.error());
  if (cgroup) {
    if (auto killed = kill_all(cgroup->get(), Deadline(kKillTime)); !killed) return killed;
  }
  wakes_.drop(instance);
  if (auto back = put_back_limit(instance, kLent); !back) return back;
  if (auto removed = memory_.remove(instance); !removed) return removed;
  return jails_.remove(instance);
}

Status Microvms::move(const lang::Statement& jail) {
  const auto cgroup = cgroups_.open(jail.subject);
  if (!cgroup) return forward(cgroup.error());
  auto api = connect(jail.subject, cgroup->get());
  if (!api) return forward(api.error());
  return send(*api, jail.numbers[1] == lang::kWarm ? pause() : resume());
}

Result<Fd> Microvms::connect(const Subject& instance, int cgroup, const char* socket) const {
  const auto root = jails_.open_root(instance);
  if (!root) return forward(root.error());
  const auto directory = memory_.open(instance);
  if (!directory) return forward(directory.error());
  const auto uid = jail_uid(directory->get());
  if (!uid) return forward(uid.error());
  return connect_to_vmm(root->get(), socket, {*uid, cgroup});
}

Result<Api> Microvms::connect(const Subject& instance, int cgroup) const {
  auto socket = connect(instance, cgroup, kApiSocket);
  if (!socket) return forward(socket.error());
  return Api(*std::move(socket));
}

Result<Fd> Microvms::connect_to_guest(const Subject& instance) const {
  const auto cgroup = cgroups_.open(instance);
  if (!cgroup) return forward(cgroup.error());
  return connect(instance, cgroup->get(), kVsockSocket);
}

Result<Vmm> Microvms::find(const Subject& instance) const {
  const auto cgroup = cgroups_.open(instance);
  if (!cgroup) return forward(cgroup.error());
  return vmm_in(cgroup->get());
}

Result<std::uint64_t> Microvms::state(const Subject& instance) const {
  const auto cgroup = cgroups_.open(instance);
  if (!cgroup) return forward(cgroup.error());
  auto api = connect(instance, cgroup->get());
  if (!api) return forward(api.error());
  const auto state = api->state(Deadline(kCallTime));
  if (!state) return forward(state.error());
  if (*state == "Running") return lang::kRunning;
  if (*state == "Paused") return lang::kWarm;
  return fail(Errc::kDenied, "take a microVM that is " + quote(*state), to_string(instance));
}

}  // namespace mvm::jail
