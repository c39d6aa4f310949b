#include "broker/jail/executor.h"

#include <algorithm>
#include <cstdio>

#include "broker/guest/link.h"

namespace mvm::jail {

Result<std::unique_ptr<Executor>> Executor::make(Host host) {
  auto device = io_device_of(host.state.get());
  if (!device) return forward(device.error());
  auto watch = Watch::make();
  if (!watch) return forward(watch.error());
  auto memory = MemoryDirectories::make(std::move(host.memory), host.memory_path);
  if (!memory) return forward(memory.error());
  auto wakes = Wakes::make(std::move(host.link));
  if (!wakes) return forward(wakes.error());
  std::unique_ptr<Executor> executor(new Executor(std::move(host), std::move(*memory), std::move(*device), std::move(*watch), std::move(*wakes)));
  if (auto settled = executor->settle_all(); !settled) return forward(settled.error());
  if (auto watching = executor->watch_all(); !watching) return forward(watching.error());
  return executor;
}

Executor::Executor(Host host, MemoryDirectories memory, std::string io_device, Watch watch, Wakes wakes)
    : cgroups_(std::move(host.cgroups), std::move(io_device)),
      jails_(std::move(host.state), std::move(host.state_path), std::move(host.block)),
      memory_(std::move(memory)),
      wakes_(std::move(wakes)),
      microvms_(cgroups_, jails_, memory_, wakes_, std::move(host.pages), std::move(host.firecracker), host.way),
      watch_(std::move(watch)),
      guests_(std::move(host.guests)) {}

Status Executor::settle_all() {
  const auto instances = memory_.list();
  if (!instances) return forward(instances.error());
  for (const Subject& instance : *instances) {
    if (auto settled = microvms_.settle(instance); !settled) return settled;
  }
  return {};
}

Status Executor::advance_wakes() {
  const auto ended = wakes_.advance(Wakes::Clock::now());
  if (!ended) return forward(ended.error());
  for (const Wakes::Ended& each : *ended) {
    if (each.stage != snapshot::Stage::kWhole) continue;
    if (auto noted = microvms_.woke(each.instance, each.touched); !noted) return noted;
  }
  return {};
}

// A cgroup that is empty or holds half a make has no microVM to watch; the inventory tells of both.
Status Executor::watch_all() {
  const auto instances = cgroups_.list();
  if (!instances) return forward(instances.error());
  for (const Subject& instance : *instances) {
    auto vmm = microvms_.find(instance);
    if (!vmm && (vmm.error().code == Errc::kNotFound || vmm.error().code == Errc::kBusy)) continue;
    if (!vmm) return forward(vmm.error());
    if (auto added = watch_.add(instance, std::move(vmm->pidfd)); !added) return added;
  }
  return {};
}

void Executor::run(const wire::Task& task, const Answerer& answer) {
  if (task.op == wire::Op::kRead) {
    for (const wire::Answer& page : wire::pages(task.seq, readings())) answer(page);
    return;
  }
  if (task.op != wire::Op::kInventory) return answer(wire::answer_with(task.seq, change(task)));
  for (const wire::Answer& page : wire::pages(task.seq, inventory())) answer(page);
}

wire::Digested Executor::change(const wire::Task& task) {
  const bool jail = task.statement.word == lang::Word::kJail, snapshot = task.statement.word == lang::Word::kSnapshot;
  const Subject& instance = task.statement.subject;
  if (instance.kind != SubjectKind::kInstance) return fail(Errc::kMalformed, "find the instance of a statement");
  if (snapshot && task.op == wire::Op::kClear) return wire::without_digest(microvms_.clear(instance));
  if (snapshot && task.op == wire::Op::kDump) {
    const auto dumped = microvms_.dump(task.statement, task.asleep.mem);
    if (!dumped) return forward(dumped.error());
    if (!dumped->whole.empty()) std::fprintf(stderr, "mvm-jail: all of the memory of %s is written before it is sealed: %s\n", to_string(instance).c_str(), dumped->whole.c_str());
    return dumped->vmm;
  }
  if (task.statement.word == lang::Word::kGuest) return wire::without_digest(of_guest(task));
  if (!jail && task.statement.word != lang::Word::kCgroup) return fail(Errc::kUnsupported, "run a statement of another worker");
  if (task.op == wire::Op::kMake) return wire::without_digest(make(task));
  if (task.op == wire::Op::kUnmake) return wire::without_digest(unmake(task));
  if (!jail) return fail(Errc::kUnsupported, "move a cgroup");
  if (task.op == wire::Op::kMove) return wire::without_digest(microvms_.move(task.statement));
  if (task.op == wire::Op::kRelease) return wire::without_digest(microvms_.release(task.statement));
  return fail(Errc::kUnsupported, "run an unknown operation");
}

Status Executor::make(const wire::Task& task) {
  const Subject& instance = task.statement.subject;
  if (task.statement.word == lang::Word::kCgroup) return cgroups_.make(instance, lang::cgroup_view(task.statement));
  const auto image = wire::manifest_of(task);
  if (!image) return forward(image.error());
  auto vmm = microvms_.make(task.statement, task.place, *image);
  if (!vmm) return forward(vmm.error());
  return watch_.add(instance, std::move(vmm->pidfd));
}

Status Executor::unmake(const wire::Task& task) {
  const Subject& instance = task.statement.subject;
  watch_.drop(instance);  // its end is asked for, and no event
  if (task.statement.word == lang::Word::kCgroup) return cgroups_.remove(instance, Deadline(kKillTime));
  return microvms_.unmake(instance);
}

Status Executor::of_guest(const wire::Task& task) const {
  if (task.op == wire::Op::kConnect) return connect(task.statement.subject);
  if (task.op == wire::Op::kDeflate) return microvms_.deflate_balloon(task.statement.subject);
  if (task.op != wire::Op::kInflate) return fail(Errc::kUnsupported, "run a statement of another worker");
  inflate(task);
  return {};
}

void Executor::inflate(const wire::Task& task) const {
  const auto inflated = microvms_.inflate_balloon(task.statement.subject, task.asleep.mem);
  const std::string name = to_string(task.statement.subject);
  if (!inflated) {
    std::fprintf(stderr, "mvm-jail: %s keeps what memory it has: %s\n", name.c_str(), inflated.error().message().c_str());
  } else if (inflated->actual_mib < inflated->wanted_mib) {
    std::fprintf(stderr, "mvm-jail: %s has given up %u of %u MiB\n", name.c_str(), inflated->actual_mib, inflated->wanted_mib);
  }
}

Status Executor::connect(const Subject& instance) const {
  auto connection = microvms_.connect_to_guest(instance);
  if (!connection) return forward(connection.error());
  return guest_worker::send_connected(guests_.get(), {instance, *std::move(connection)});
}

Result<std::vector<wire::Reading>> Executor::readings() const {
  const auto anchored = cgroups_.list();
  if (!anchored) return forward(anchored.error());
  std::vector<wire::Reading> readings;
  for (const Subject& instance : *anchored) {
    const auto cgroup = cgroups_.open(instance);
    if (!cgroup) continue;  // removed since
    const auto used = usage(cgroup->get());
    if (used) readings.push_back({.instance = instance, .cpu = used->cpu, .memory = used->memory});
  }
  return readings;
}

Result<std::vector<wire::Item>> Executor::inventory() {
  const auto anchored = cgroups_.list();
  if (!anchored) return forward(anchored.error());
  const auto jailed = jails_.list();
  if (!jailed) return forward(jailed.error());
  std::vector<wire::Item> items;
  for (const Subject& instance : *anchored) {
    const auto cgroup = cgroups_.open(instance);
    if (!cgroup) continue;  // removed since
    const auto living = population(cgroup->get());
    const bool alive = living && *living == Population::kPopulated;
    items.push_back({.word = lang::Word::kCgroup, .subject = instance, .alive = alive});
    // Processes without a jail directory are a jail all the same: one that has to be ended.
    if (alive && std::ranges::find(*jailed, instance) == jailed->end()) {
      items.push_back({.word = lang::Word::kJail, .subject = instance});
    }
  }
  for (const Subject& instance : *jailed) {
    // What does not answer, was never started, or has gone is no microVM that anyone can use.
    const auto state = microvms_.state(instance);
    items.push_back({.word = lang::Word::kJail, .subject = instance, .alive = state.has_value(), .state = state.value_or(0)});
  }
  // What is in memory of one that has neither is to be removed as a jail is.
  const auto in_memory = memory_.list();
  if (!in_memory) return forward(in_memory.error());
  for (const Subject& instance : *in_memory) {
    if (std::ranges::find(items, instance, &wire::Item::subject) == items.end()) items.push_back({.word = lang::Word::kJail, .subject = instance});
  }
  return items;
}

}  // namespace mvm::jail
