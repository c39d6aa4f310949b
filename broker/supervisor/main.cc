// mvm-hostd. The supervisor: believes no text, holds no capability once it serves, and has hands only in its workers.
// main() is the whole of its life, in order. A step that fails ends it; systemd starts it again, and recovery begins anew.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include "broker/sandbox/enter.h"
#include "broker/sandbox/spawn.h"
#include "broker/storage/arguments.h"
#include "broker/supervisor/devices.h"
#include "broker/supervisor/identity.h"
#include "broker/supervisor/opened.h"
#include "broker/supervisor/recovery.h"
#include "broker/supervisor/server.h"
#include "policy-lang/verify.h"

namespace mvm::supervisor {
namespace {

constexpr int kFailed = 70;  // EX_SOFTWARE

[[noreturn]] void die(const char* step, const Error& error) {
  std::fprintf(stderr, "mvm-hostd: cannot %s: %s\n", step, error.message().c_str());
  std::_Exit(kFailed);
}

template <class T>
T must(const char* step, Result<T> result) {
  if (!result) die(step, result.error());
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

struct Gate {
  Fd life;  // a pidfd
  GateClient client;
};
struct Started {
  EachWorker<Fd> lives;  // pidfds
  Workers workers;
};
// What the node's policy has for the storage worker.
struct Disks {
  OpenedDevices opened;
  bool discards = false;
};

// `others` are behind the devices in what it is given.
Result<sandbox::Worker> start_worker(const WorkerSetup& setup, sandbox::Channel channel, std::span<const int> others) {
  const Fd executable(open(setup.executable.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  const int saved = errno;
  if (!executable.valid()) return fail_errno(saved, "open", setup.executable);
  struct stat status {};
  if (fstat(executable.get(), &status) != 0 || !S_ISREG(status.st_mode) || status.st_uid != 0 || (status.st_mode & 022) != 0) {
    return fail(Errc::kDenied, "run what is not a file that root alone may write", setup.executable);
  }
  const auto user = sandbox::user_named(setup.user);
  if (!user) return forward(user.error());
  std::vector<Fd> devices;
  std::vector<int> extra;
  for (const std::string& path : setup.devices) {
    devices.emplace_back(open(path.c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC));
    const int device_errno = errno;
    if (!devices.back().valid()) return fail_errno(device_errno, "open", path);
    extra.push_back(devices.back().get());
  }
  extra.insert(extra.end(), others.begin(), others.end());
  return sandbox::spawn({.executable = executable.get(), .grants = setup.grants, .user = *user, .channel = channel,
                         .extra = extra, .arguments = setup.arguments});
}

// The ends of the joints, a worker's at its place; ours close when all are started.
Result<EachWorker<std::vector<Fd>>> make_joints(const std::vector<Joint>& joints) {
  EachWorker<std::vector<Fd>> ends;
  const auto of = [&](lang::Worker worker) -> std::vector<Fd>& {
    return ends[static_cast<std::size_t>(std::ranges::find(kExecutors, worker) - kExecutors.begin())];
  };
  for (const Joint& joint : joints) {
    std::array<int, 2> pair{};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair.data()) != 0) return fail_errno(errno, "join two workers");
    of(joint.from).emplace_back(pair[0]);
    of(joint.to).emplace_back(pair[1]);
  }
  return ends;
}

Result<Gate> start_gate(const Setup& setup) {
  auto gate = start_worker(setup.gate, sandbox::Channel::kStream, {});
  if (!gate) return forward(gate.error());
  return Gate{std::move(gate->pidfd), GateClient(std::move(gate->channel))};
}

// The storage worker's setup, with what it has to know of its disks.
WorkerSetup with_disks(WorkerSetup setup, const Disks& disks) {
  if (disks.discards) setup.arguments.push_back(storage::kDiscardArgument);
  if (disks.opened.named) setup.arguments.push_back(storage::kPoolArgument);
  for (const Device& each : disks.opened.devices) setup.arguments.push_back(each.name + ":" + std::to_string(each.mib));
  return setup;
}

Result<Started> start_workers(const Setup& setup, const Disks& disks, const Fd& lock) {
  const auto joints = make_joints(setup.joints);
  if (!joints) return forward(joints.error());
  EachWorker<Fd> lives, channels;
  for (std::size_t i = 0; i < kExecutors.size(); ++i) {
    std::vector<int> own;
    for (const Fd& fd : (*joints)[i]) own.push_back(fd.get());
    const bool storage = kExecutors[i] == lang::Worker::kStorage;
    if (storage) std::ranges::transform(disks.opened.devices, std::back_inserter(own), [](const Device& each) { return each.fd.get(); });
    own.push_back(lock.get());  // not used there: only held
    auto worker = start_worker(storage ? with_disks(setup.workers[i], disks) : setup.workers[i], sandbox::Channel::kSeqpacket, own);
    if (!worker) return forward(worker.error());
    lives[i] = std::move(worker->pidfd);
    channels[i] = std::move(worker->channel);
  }
  auto workers = Workers::make(std::move(channels));
  if (!workers) return forward(workers.error());
  return Started{std::move(lives), *std::move(workers)};
}

Status lock_up(const Setup& setup, const Opened& opened) {
  const sandbox::Place places[] = {{"$records", opened.records.get()}, {"$journal", opened.journal.get()}, {"$audit", opened.audit.get()},
                                   {"$images", opened.images.get()}};
  return sandbox::enter(setup.grants, places);
}

Result<NodePolicy> read_policy(GateClient& gate, const std::string& text) {
  auto parsed = gate.parse(lang::Kind::kPolicy, text);
  if (!parsed) return forward(parsed.error());
  if (!*parsed) return fail(Errc::kMalformed, "read the policy: " + parsed->error().message());
  const auto verified = lang::verify_policy((*parsed)->document());
  if (!verified) return fail(Errc::kDenied, "accept the policy: " + verified.error().message());
  return read_node_policy(std::move(**parsed).document());
}

// Where a device cannot be used, the node does without it.
Disks open_disks(const NodePolicy& policy) {
  Disks disks{open_devices(policy.text, "/dev"), policy.discards};
  for (const Error& each : disks.opened.refused) std::fprintf(stderr, "mvm-hostd: a device for volumes is not used: cannot %s\n", each.message().c_str());
  return disks;
}

// The line of the audit log.
std::string offer_line(const std::vector<std::uint8_t>& bytes) {
  const auto offer = sealing::read_offer(bytes);
  if (!offer) return "offer none: no identity";
  return "offer start=" + std::to_string(offer->offer.start) + " key=" + to_string(sealing::key_id(offer->offer.key));
}

// After the sandbox has closed: recovery reads records and a journal and has the workers sweep, and needs no more power for
// that than serving does.
Result<Host> recover_host(Opened& opened, GateClient gate, Workers workers, NodePolicy policy, std::optional<Identity> identity) {
  auto audit = Audit::open(std::move(opened.audit));
  if (!audit) return forward(audit.error());
  const auto boot = boot_of(opened.journal, opened.boot_id);
  if (!boot) return forward(boot.error());
  auto boots = open_file(opened.journal, ".", O_RDONLY | O_DIRECTORY);
  if (!boots) return forward(boots.error());
  Host host{std::move(gate), std::move(workers), Records(std::move(opened.records)), Journal(std::move(opened.journal)),
            *std::move(audit), Images(std::move(opened.images)), std::move(policy), {}, [](const wire::Event&) {}, {}};
  if (auto wrote = host.audit.append("start node=" + std::string(host.policy.text.header.node.view())); !wrote) return forward(wrote.error());
  if (auto recovered = recover(host, *boot); !recovered) return forward(recovered.error());
  if (auto remembered = remember_boot(*boots, opened.boot_id); !remembered) return forward(remembered.error());
  auto offer = make_offer(host.workers, std::move(identity), host.policy.text.header.node, *boots);
  if (!offer) return forward(offer.error());
  host.offer = *std::move(offer);
  if (auto wrote = host.audit.append(offer_line(host.offer)); !wrote) return forward(wrote.error());
  return host;
}

Status serve(Host& host, Opened& opened) {
  Server server(host, std::move(opened.listener), std::move(opened.signals), opened.agent.uid);
  if (auto served = server.serve(); !served) return served;
  if (auto wrote = host.audit.append("stop"); !wrote) return wrote;
  return host.audit.sync();
}

}  // namespace
}  // namespace mvm::supervisor

int main(int argc, char** argv) {
  using namespace mvm::supervisor;
  const Setup where = setup(argc, argv);
  Opened opened = must("open what it needs", open_all(where));
  must("find what it needs of this host", check_host(where));
  auto identity = must("read its identity", Identity::read(where.credentials));
  if (!identity) std::fprintf(stderr, "mvm-hostd: there is no credential %s: no key can be sealed to this node\n", kIdentityName);
  must("hide its credentials", hide_credentials(where.credentials));
  // The one text that is read while it is root is the policy, which root wrote; it says which devices root has to open.
  Gate gate = must("start gate", start_gate(where));
  NodePolicy policy = must("read its policy", read_policy(gate.client, opened.policy_text));
  Disks disks = open_disks(policy);  // and holds them as long as it lives
  Started started = must("start its workers", start_workers(where, disks, opened.workers_lock));
  for (Device& each : disks.opened.devices) each.fd.reset();
  must("drop its privileges", mvm::sandbox::become(where.grants, opened.self));
  must("lock itself up", lock_up(where, opened));
  Host host = must("recover", recover_host(opened, std::move(gate.client), std::move(started.workers), std::move(policy), std::move(identity)));
  must("go on", serve(host, opened));
  std::_Exit(0);  // what libraries do at exit needs system calls that nothing else here does
}
