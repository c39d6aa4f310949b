// Snapshots of the doubled microVM: what PUT /snapshot/create writes and PUT /snapshot/load takes. The state file is the double's own, as
// Firecracker's is its own; nobody else reads either.
#include <fcntl.h>
#include <sys/random.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>

#include "tests/doubles/vmm.h"

namespace mvm::doubles {
namespace {

constexpr int kStateFormat = 1;

std::uint64_t fresh_seed() {
  std::uint64_t seed = 0;
  if (getrandom(&seed, sizeof seed, 0) != sizeof seed) throw std::runtime_error("no random bytes");
  return seed;
}

nlohmann::json state_in(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error("Load snapshot error: Failed to restore from snapshot: Failed to get snapshot state from file: Failed to open snapshot file: " + errno_text(errno));
  const nlohmann::json state = nlohmann::json::parse(std::string(std::istreambuf_iterator<char>(file), {}), nullptr, false);
  if (!state.is_object() || state.value("fake-firecracker", 0) != kStateFormat) {
    throw std::runtime_error("Load snapshot error: Failed to restore from snapshot: Failed to get snapshot state from file: Failed to load snapshot state from file: An error occurred during bitcode serialization: bitcode error");
  }
  return state;
}

// The devices of a snapshot, where what they stand on may have another name now.
void override_names(nlohmann::json& config, const nlohmann::json& body) {
  for (const auto& other : body.value("network_overrides", nlohmann::json::array())) {
    bool known = false;
    if (config.contains("network-interfaces")) {
      for (auto& device : config["network-interfaces"]) {
        if (device["iface_id"] != other["iface_id"]) continue;
        device["host_dev_name"] = other["host_dev_name"];
        known = true;
      }
    }
    if (!known) throw std::runtime_error("Load snapshot error: Failed to restore from snapshot: Failed to get snapshot state from file: Unknown Network Device.");
  }
  if (!body.contains("vsock_override")) return;
  if (!config.contains("vsock")) throw std::runtime_error("Load snapshot error: Failed to restore from snapshot: Failed to get snapshot state from file: Unknown Vsock Device.");
  config["vsock"]["uds_path"] = body["vsock_override"]["uds_path"];
}

}  // namespace

void Vmm::make_memory() {
  memory_ = std::make_unique<Memory>(machine_["mem_size_mib"].get<std::uint64_t>() << 20, fresh_seed());
  if (mischief_ == "no-tables") memory_->lose_tables();
}

Reply Vmm::create_snapshot(const nlohmann::json& body) {
  const bool tracked = machine_.value("track_dirty_pages", false);
  // Without tracking, what was ever touched counts as dirty (mincore(2)), and here that is everything.
  const bool diff = body.value("snapshot_type", "Full") == "Diff" && tracked;
  memory_->lay_out();
  const nlohmann::json state = {{"fake-firecracker", kStateFormat}, {"version", version_}, {"machine", machine_}, {"config", config_},
                                {"boot_args", boot_args_},          {"memory", memory_->state()},       {"daemon", daemon_->state()}};
  // As Firecracker (src/vmm/src/persist.rs, v1.10 to v1.16): the state first, whole and synced, and then the memory.
  const std::string text = state.dump(), path = body["snapshot_path"];
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  const bool wrote = file >= 0 && write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size()) && fsync(file) == 0;
  const int saved = errno;
  if (file >= 0) close(file);
  if (!wrote) return fault("Create snapshot error: Cannot perform open on the snapshot backing file: " + errno_text(saved));
  memory_->write_image(body["mem_file_path"], diff ? Pages::kDirty : Pages::kAll);
  memory_->image_written();
  return {};
}

Reply Vmm::load_snapshot(const nlohmann::json& body) {
  const char* const kBad = "An error occurred when deserializing the json body of a request: ";
  const bool backend = body.contains("mem_backend"), old = body.contains("mem_file_path");
  if (backend && old) return fault(std::string(kBad) + "too many fields: either `mem_backend` or `mem_file_path` exclusively is required.");
  if (!backend && !old) return fault(std::string(kBad) + "missing field: either `mem_backend` or `mem_file_path` is required.");
  fatal_ = true;  // until all of it has gone well: Firecracker takes no second request after a restore that failed
  nlohmann::json state = state_in(body["snapshot_path"]);
  override_names(state["config"], body);
  machine_ = state["machine"];
  machine_["track_dirty_pages"] = body.value("track_dirty_pages", false) || body.value("enable_diff_snapshots", false);
  memory_ = std::make_unique<Memory>(state["memory"]);
  daemon_->restore(state["daemon"]);
  const bool huge = machine_["huge_pages"] == "2M";
  const std::string path = backend ? body["mem_backend"]["backend_path"] : body["mem_file_path"];
  if (backend && body["mem_backend"]["backend_type"] == "Uffd") {
    memory_->map_uffd(path, huge);
  } else {
    if (huge) throw std::runtime_error("Load snapshot error: Failed to restore from snapshot: Failed to load guest memory: Cannot restore hugetlbfs backed snapshot by mapping the memory file. Please use uffd.");
    memory_->map_file(path);
  }
  memory_->touch_first();
  boot_args_ = state["boot_args"];
  if (auto reply = restore_devices(state["config"]); reply.status != 204) return reply;
  make_vm();
  guest_.begin(boot_args_);
  life_ = Life::kPaused;
  fatal_ = false;
  if (body.value("resume_vm", false)) resume();
  return {};
}

Reply Vmm::restore_devices(const nlohmann::json& config) {
  for (const auto& drive : config.value("drives", nlohmann::json::array())) {
    if (auto reply = set_drive(drive); reply.status != 204) return reply;
  }
  for (const auto& device : config.value("network-interfaces", nlohmann::json::array())) {
    if (auto reply = set_network(device); reply.status != 204) return reply;
  }
  if (config.contains("vsock")) {
    if (auto reply = set_vsock(config["vsock"]); reply.status != 204) return reply;
  }
  for (const char* name : {"mmds-config", "entropy", "balloon"}) {
    if (config.contains(name)) config_[name] = config[name];
  }
  return {};
}

void Vmm::resume() {
  life_ = Life::kRunning;
  memory_->run();
  if (config_.contains("balloon") && config_["balloon"]["amount_mib"] == 0) move_balloon();  // it may have been told while the guest was paused
}

std::string Vmm::memory_command(const std::string& line) {
  if (line == "memory") return memory_->report();
  if (line == "canary") return memory_->canary();
  if (line == "balloon") return balloon_command();
  if (!memory_->looked_at_all()) return "busy";
  memory_->dirty(std::stoull(line.substr(line.find(' ') + 1)));
  return "written";
}

}  // namespace mvm::doubles
