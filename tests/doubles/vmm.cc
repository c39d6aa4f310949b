#include "tests/doubles/vmm.h"

#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <regex>
#include <utility>

namespace mvm::doubles {
namespace {

const char* const kAfter = "The requested operation is not supported after starting the microVM.";
constexpr std::size_t kMaxCommandLine = 2048;  // CMDLINE_MAX_SIZE, with the NUL
const char* const kBefore = "The requested operation is not supported before starting the microVM.";

Reply ok() { return {204, ""}; }
Reply data(const nlohmann::json& body) { return {200, body.dump()}; }
Reply not_doubled(const RequestRule& rule) {
  return fault("fake-firecracker: " + rule.method + " " + rule.path + " is checked, and not doubled");
}

std::vector<std::string> parts_of(const std::string& path) {
  std::vector<std::string> parts;
  std::string part;
  for (const char c : path) {
    if (c != '/') part += c;
    else if (!part.empty()) parts.push_back(std::exchange(part, ""));
  }
  if (!part.empty()) parts.push_back(part);
  return parts;
}

struct Found {
  const RequestRule* rule = nullptr;
  std::string id;
};
Found find_rule(const std::string& method, const std::string& path) {
  const auto parts = parts_of(path);
  for (const RequestRule& rule : request_rules()) {
    const auto wanted = parts_of(rule.path);
    if (rule.method != method || wanted.size() != parts.size()) continue;
    Found found{&rule, ""};
    bool same = true;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      if (wanted[i] == "{id}") found.id = parts[i];
      else same = same && wanted[i] == parts[i];
    }
    if (same) return found;
  }
  return {};
}

bool plain_id(const std::string& id) {
  return std::ranges::all_of(id, [](unsigned char c) { return c == '_' || std::isalnum(c) != 0; });
}

int open_for_reading(const std::string& path, const std::string& otherwise) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  const int saved = errno;
  if (file < 0) throw std::runtime_error(otherwise + errno_text(saved));
  return file;
}

}  // namespace

Reply fault(const std::string& message) { return {400, nlohmann::json{{"fault_message", message}}.dump()}; }

Reply Vmm::handle(const std::string& method, const std::string& path, const std::string& body) {
  const Found found = find_rule(method, path);
  if (found.rule == nullptr) {
    const auto parts = parts_of(path);
    return fault("Invalid request method and/or path: " + method + " " + (parts.empty() ? "" : parts.front()) + ".");
  }
  const RequestRule& rule = *found.rule;
  if (method == "GET" && !body.empty()) return fault("GET request cannot have a body.");
  if (!rule.body.empty() && body.empty() && rule.body != "BalloonStartCmd") {
    return fault(method == "PUT" ? "Empty PUT request." : "Empty PATCH request.");
  }
  if (!plain_id(found.id)) return fault("API Resource IDs can only contain alphanumeric characters and underscores.");
  nlohmann::json parsed;
  if (!body.empty()) {
    const char* const kBad = "An error occurred when deserializing the json body of a request: ";
    try {
      parsed = parse_json(body);
    } catch (const std::exception& error) {
      return fault(std::string(kBad) + error.what() + ".");
    }
    const bool partial = method == "PATCH" && path == "/machine-config";
    if (partial && parsed.is_object() && parsed.empty()) return fault("Empty PATCH request.");
    if (const auto wrong = fault_in(parsed, body_rule(rule.body), partial ? Form::kPatch : Form::kWhole)) {
      return fault(kBad + *wrong + ".");
    }
  }
  for (const char* name : {"drive_id", "iface_id", "id"}) {
    if (found.id.empty() || rule.body == "MmdsContentsObject" || !parsed.contains(name) || parsed[name] == found.id) continue;
    return fault("The id from the path does not match the id from the body!");
  }
  // Only with PCI could a device be added to what runs, and the jail's Firecracker is started without.
  const bool pluggable = method == "PUT" && !found.id.empty();
  if (rule.when == When::kBeforeStart && life_ != Life::kNotStarted) return fault(pluggable ? "PCI is not enabled" : kAfter);
  if (rule.when == When::kAfterStart && life_ == Life::kNotStarted) return fault(kBefore);
  if (path == "/snapshot/load" && !config_.empty()) {
    return fault("Load snapshot error: Loading a microVM snapshot not allowed after configuring boot-specific resources.");
  }
  if (path == "/snapshot/create" && life_ == Life::kRunning) {
    return fault("Create snapshot error: Cannot save the microVM state: Operation not allowed: save/restore unavailable while running");
  }
  if (rule.doubled == Doubled::kOnlyChecked) return not_doubled(rule);
  try {
    return obey(rule, found.id, parsed);
  } catch (const std::exception& error) {
    return fault(error.what());
  }
}

Reply Vmm::obey(const RequestRule& rule, const std::string& id, const nlohmann::json& body) {
  const std::string what = rule.method + " " + rule.path;
  if (what == "GET /") {
    const char* const kLives[] = {"Not started", "Running", "Paused"};
    // In serde's order: id, state, vmm_version, app_name.
    nlohmann::ordered_json info = {{"id", id_}, {"state", kLives[static_cast<int>(life_)]}, {"vmm_version", version_}, {"app_name", "Firecracker"}};
    return {200, info.dump()};
  }
  if (what == "GET /version") return data({{"firecracker_version", version_}});
  if (what == "GET /machine-config") return data(machine_);
  if (what == "GET /vm/config") {
    nlohmann::json all = config_;
    all["machine-config"] = machine_;
    return data(all);
  }
  if (what == "PUT /actions") return act(body["action_type"]);
  if (what == "PUT /machine-config" || what == "PATCH /machine-config") {
    nlohmann::json merged = machine_;
    merged.update(body);
    if (merged["mem_size_mib"] == 0 || (merged["huge_pages"] == "2M" && merged["mem_size_mib"].get<long>() % 2 != 0)) {
      return fault("Machine config error: The memory size (MiB) is either 0, or not a multiple of the configured page size.");
    }
    const long vcpus = merged["vcpu_count"].get<long>();
    if (merged["smt"] == true && vcpus > 1 && vcpus % 2 != 0) {
      return fault("Machine config error: The number of vCPUs must be greater than 0, less than 32 and must be 1 or an even number if SMT is enabled.");
    }
    if (config_.contains("balloon") && merged["mem_size_mib"] < config_["balloon"]["amount_mib"]) {
      return fault("Machine config error: The memory size (MiB) is smaller than the previously set balloon device target size.");
    }
    machine_ = merged;
    return ok();
  }
  if (what == "PUT /boot-source") return set_boot_source(body);
  if (what == "PUT /drives/{id}") return set_drive(body);
  if (what == "PUT /network-interfaces/{id}") return set_network(body);
  if (what == "PATCH /drives/{id}") return patch_device("drives", "drive_id", id, body);
  if (what == "PATCH /network-interfaces/{id}") return patch_device("network-interfaces", "iface_id", id, body);
  if (what == "PUT /vsock") return set_vsock(body);
  if (what == "PUT /mmds/config") return set_mmds(body);
  if (what == "PUT /mmds") {
    if (!mmds_ && !config_.contains("mmds-config") && life_ != Life::kNotStarted) return fault("MMDS error: The MMDS data store is not initialized.");
    mmds_ = body;
    return ok();
  }
  if (what == "PATCH /mmds") {
    if (!mmds_) return fault("MMDS error: The MMDS data store is not initialized.");
    mmds_->merge_patch(body);
    return ok();
  }
  if (what == "GET /mmds") return data(mmds_.value_or(nlohmann::json::object()));
  if (what == "PUT /entropy") {
    config_["entropy"] = body;
    return ok();
  }
  if (what == "PUT /balloon") return set_balloon(body);
  if (rule.path.starts_with("/balloon")) return tell_balloon(what, body);
  if (what == "PUT /snapshot/create") return create_snapshot(body);
  if (what == "PUT /snapshot/load") return load_snapshot(body);
  if (what == "PATCH /vm") {
    if (body["state"] == "Resumed") {
      resume();
      return ok();
    }
    life_ = Life::kPaused;
    memory_->pause();
    return ok();
  }
  return not_doubled(rule);
}

Reply Vmm::act(const std::string& action) {
  if (action == "InstanceStart") return life_ == Life::kNotStarted ? start() : fault(kAfter);
  if (life_ == Life::kNotStarted) return fault(kBefore);
  return ok();
}

// Where there is KVM, an empty VM, because the kernel then does what it does beside a real one: its threads join the cgroup.
void Vmm::make_vm() {
  const int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
  if (kvm < 0) return;
  vm_ = ioctl(kvm, KVM_CREATE_VM, 0);
  close(kvm);
}

Reply Vmm::start() {
  if (!config_.contains("boot-source")) {
    return fault("Start microvm error: Cannot start microvm without kernel configuration.");
  }
  make_vm();
  make_memory();
  guest_.begin(boot_args_);
  resume();
  return ok();
}

Reply Vmm::set_boot_source(const nlohmann::json& body) {
  close(open_for_reading(body["kernel_image_path"], "Boot source error: The kernel file cannot be opened: "));
  if (body.contains("initrd_path")) {
    close(open_for_reading(body["initrd_path"], "Boot source error: The initrd file cannot be opened due to invalid path or invalid permissions. "));
  }
  boot_args_ = body.value("boot_args", "");
  if (boot_args_.size() >= kMaxCommandLine) return fault("Boot source error: The kernel command line is invalid: Invalid cmdline capacity provided.");
  config_["boot-source"] = body;
  return ok();
}

Reply Vmm::set_drive(const nlohmann::json& body) {
  if (body.contains("socket")) return fault("fake-firecracker: vhost-user drives are not doubled");
  if (!body.contains("path_on_host")) return fault("Drive config error: Unable to create the virtio block device: Invalid block config.");
  const bool read_only = body.value("is_read_only", false);
  const std::string path = body["path_on_host"];
  const int file = open(path.c_str(), (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
  const int saved = errno;
  if (file < 0) {
    return fault("Drive config error: Unable to create the virtio block device: Virtio backend error: Error manipulating the backing file: " +
                 errno_text(saved) + " " + path);
  }
  // Held as the real one holds it, for as long as it lives.
  guest_.add_drive(body["drive_id"], file);
  auto& drives = config_["drives"];
  for (auto& drive : drives) {
    if (drive["drive_id"] == body["drive_id"]) {
      drive = body;
      return ok();
    }
    if (drive["is_root_device"] == true && body["is_root_device"] == true) {
      return fault("Drive config error: A root block device already exists!");
    }
  }
  drives.push_back(body);
  return ok();
}

Reply Vmm::set_network(const nlohmann::json& body) {
  const std::string mac = body.value("guest_mac", "06:00:00:00:00:01");
  if (!std::regex_match(mac, std::regex("([0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}"))) {
    return fault("An error occurred when deserializing the json body of a request: The provided MAC address is invalid..");
  }
  auto& interfaces = config_["network-interfaces"];
  for (const auto& other : interfaces) {
    if (other["iface_id"] == body["iface_id"]) continue;
    if (other.value("guest_mac", "") == mac) return fault("Network config error: The MAC address is already in use: " + mac);
    if (other["host_dev_name"] != body["host_dev_name"]) return fault("fake-firecracker: a second network interface is not doubled");
    return fault("Network config error: Could not create the network device: Open tap device failed: Error while creating ifreq structure: " +
                 errno_text(EBUSY) + ". Invalid TUN/TAP Backend provided by " + body["host_dev_name"].get<std::string>() + kSeeTaps);
  }
  if (const auto wrong = guest_.open_tap(body["host_dev_name"], mac)) {
    return fault("Network config error: Could not create the network device: Open tap device failed: " + *wrong);
  }
  interfaces = nlohmann::json::array({body});
  return ok();
}

// Of what a request names, each bucket by itself: one that it does not name stays as it was.
Reply Vmm::patch_device(const char* kind, const char* name, const std::string& id, const nlohmann::json& body) {
  if (body.contains("path_on_host")) return fault("fake-firecracker: another file below a drive that is in use is not doubled");
  if (config_.contains(kind)) {
    for (auto& device : config_[kind]) {
      if (device[name] != id) continue;
      device.merge_patch(body);
      return ok();
    }
  }
  return fault(std::string(kind) == "drives" ? "Drive config error: Unable to patch the block device: Failed perform action on device: Device not found Please verify the request arguments."
                                             : "Network config error: Unable to update the net device: Failed perform action on device: Device not found");
}

std::string Vmm::limits_command(const std::string& id) const {
  for (const char* kind : {"drives", "network-interfaces"}) {
    for (const auto& device : config_.value(kind, nlohmann::json::array())) {
      if (device.value("drive_id", device.value("iface_id", "")) != id) continue;
      nlohmann::json limits = nlohmann::json::object();
      for (const char* name : {"rate_limiter", "rx_rate_limiter", "tx_rate_limiter"}) {
        if (device.contains(name)) limits[name] = device[name];
      }
      return limits.dump();
    }
  }
  return "no such device";
}

Reply Vmm::set_vsock(const nlohmann::json& body) {
  const std::string path = body["uds_path"];
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return fault("Vsock config error: Cannot create backend for vsock device: Error binding to the host-side Unix socket: path must be shorter than SUN_LEN");
  }
  if (const auto cid = body["guest_cid"].get<std::uint64_t>(); cid > UINT32_MAX) {
    return fault("An error occurred when deserializing the json body of a request: invalid value: integer `" + std::to_string(cid) + "`, expected u32.");
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  if (vsock_ >= 0) {
    close(vsock_);
    unlink(path.c_str());
  }
  vsock_ = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (bind(vsock_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 || listen(vsock_, 16) != 0) {
    return fault("Vsock config error: Cannot create backend for vsock device: Error binding to the host-side Unix socket: " + errno_text(errno));
  }
  config_["vsock"] = body;
  return ok();
}

Reply Vmm::set_mmds(const nlohmann::json& body) {
  if (body["network_interfaces"].empty()) {
    return fault("MMMDS config error: The list of network interface IDs that allow forwarding MMDS requests is empty.");
  }
  const std::string address = body.value("ipv4_address", "169.254.169.254");
  if (!std::regex_match(address, std::regex("169\\.254\\.[0-9]{1,3}\\.[0-9]{1,3}"))) {
    return fault("MMMDS config error: The MMDS IPv4 address is not link local.");
  }
  for (const auto& name : body["network_interfaces"]) {
    const auto& interfaces = config_["network-interfaces"];
    if (std::ranges::none_of(interfaces, [&](const auto& each) { return each["iface_id"] == name; })) {
      return fault("MMMDS config error: The list of network interface IDs provided contains at least one ID that does not correspond to any "
                   "existing network interface.");
    }
  }
  config_["mmds-config"] = body;
  return ok();
}

std::string Vmm::mmds_command(const std::string& request) {
  if (!config_.contains("mmds-config")) return "no service: the frame went out by the tap";
  if (config_["mmds-config"].value("version", "V1") != "V2") return "fake-firecracker: version 1 of MMDS is not doubled";
  return service_.answer(request, mmds_.value_or(nlohmann::json::object()));
}

}  // namespace mvm::doubles
