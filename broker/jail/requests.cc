#include "broker/jail/requests.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/derived.h"
#include "broker/jail/file_drives.h"

namespace mvm::jail {
namespace {

constexpr std::uint64_t kOldestMajor = 1, kOldestMinor = 10;
constexpr std::uint64_t kRefillMs = 1000;

// {"name":{"size":N,"refill_time":1000},...}
struct Bucket {
  std::string_view name;
  std::uint64_t size;
};
std::string limiter(std::initializer_list<Bucket> buckets) {
  std::string text;
  for (const Bucket& bucket : buckets) {
    text += (text.empty() ? "{\"" : ",\"") + std::string(bucket.name) + "\":{\"size\":" + std::to_string(bucket.size) +
            ",\"refill_time\":" + std::to_string(kRefillMs) + "}";
  }
  return text + "}";
}

std::string netmask(const Subnet& subnet) {
  return ipv4_to_string(static_cast<std::uint32_t>(~std::uint64_t{0} << (32 - subnet.prefix)));
}

Request machine_config(const lang::JailView& jail) {
  return {"PUT", "/machine-config",
          "{\"vcpu_count\":" + std::to_string(jail.vcpus) + ",\"mem_size_mib\":" + std::to_string(jail.mem_mib) +
              ",\"smt\":false,\"track_dirty_pages\":false}"};
}

Request boot_source(const wire::Place& place) {
  return {"PUT", "/boot-source", "{\"kernel_image_path\":\"/kernel\",\"boot_args\":\"" + boot_args(place) + "\"}"};
}

// What the plan says, up to `most`; 0: it says nothing.
std::uint64_t bounded(std::uint64_t said, std::uint64_t most) { return said == 0 ? most : std::min(said, most); }

std::string drive_limiter(const wire::Place& place) {
  return "\"rate_limiter\":" + limiter({{"bandwidth", bounded(place.io << 20, kDriveBytes)}, {"ops", kDriveOps}});
}

std::string net_limiters(const wire::Place& place) {
  const std::string rate = limiter({{"bandwidth", bounded(place.mbps * (1'000'000 / 8), kNetBytes)}, {"ops", bounded(place.pps, kNetPackets)}});
  return "\"rx_rate_limiter\":" + rate + ",\"tx_rate_limiter\":" + rate;
}

Request root_drive(const wire::Place& place) {
  return {"PUT", "/drives/rootfs",
          "{\"drive_id\":\"rootfs\",\"path_on_host\":\"/rootfs\",\"is_root_device\":true,\"is_read_only\":true,"
          "\"cache_type\":\"Unsafe\"," + drive_limiter(place) + "}"};
}

// A flush of the guest's is one of the device's: nothing that a guest was told is on the disk may be in a cache only.
Request data_drive(const wire::Place& place) {
  return {"PUT", "/drives/data",
          "{\"drive_id\":\"data\",\"path_on_host\":\"/data\",\"is_root_device\":false,\"is_read_only\":false,"
          "\"cache_type\":\"Writeback\"," + drive_limiter(place) + "}"};
}

Request file_drive(const FileDrive& drive, const wire::Place& place) {
  const std::string name = drive.name;
  return {"PUT", "/drives/" + name,
          "{\"drive_id\":\"" + name + "\",\"path_on_host\":\"/" + name + "\",\"is_root_device\":false,\"is_read_only\":true,"
          "\"cache_type\":\"Unsafe\"," + drive_limiter(place) + "}"};
}

Request network_interface(const wire::Place& place) {
  return {"PUT", "/network-interfaces/eth0",
          "{\"iface_id\":\"eth0\",\"host_dev_name\":\"" + tap_name(place.net, place.slot) + "\",\"guest_mac\":\"" +
              mac_to_string(instance_mac(place.net, place.slot)) + "\"," + net_limiters(place) + "}"};
}

// A slot is at least 3, and so is a guest's context id (vsock(7)); the host never routes by it, as each VMM has its own socket.
Request vsock(const wire::Place& place) {
  return {"PUT", "/vsock", "{\"guest_cid\":" + std::to_string(place.slot) + ",\"uds_path\":\"/run/v.sock\"}"};
}

Request mmds_config() {
  return {"PUT", "/mmds/config", "{\"version\":\"V2\",\"network_interfaces\":[\"eth0\"]}"};
}

// Strings only: what a guest asks for as plain text, MMDS gives for strings alone.
Request mmds(const Subject& instance, const wire::Place& place) {
  return {"PUT", "/mmds",
          "{\"mvm\":{\"tenant\":\"" + std::string(instance.tenant.view()) + "\",\"pool\":\"" + std::string(instance.pool.view()) +
              "\",\"instance\":\"" + to_string(instance.instance) + "\",\"slot\":\"" + std::to_string(place.slot) +
              "\",\"address\":\"" + ipv4_to_string(slot_address(place.subnet, place.slot)) + "\",\"generation\":\"" +
              std::to_string(place.generation) + "\"}}"};
}

Request entropy() {
  return {"PUT", "/entropy", "{\"rate_limiter\":" + limiter({{"bandwidth", kEntropyBytes}}) + "}"};
}

// A guest that is short of memory takes it back by itself. How much it has to spare it says once a second: what v1.10 has, and nothing later.
Request balloon() {
  return {"PUT", "/balloon", "{\"amount_mib\":0,\"deflate_on_oom\":true,\"stats_polling_interval_s\":1}"};
}

}  // namespace

std::string boot_args(const wire::Place& place) {
  return "reboot=k panic=1 pci=off 8250.nr_uarts=0 i8042.noaux i8042.nomux i8042.dumbkbd quiet loglevel=1 "
         "random.trust_cpu=on swiotlb=noforce net.ifnames=0 ipv6.disable=1 ip=" +
         ipv4_to_string(slot_address(place.subnet, place.slot)) + "::" + ipv4_to_string(gateway_address(place.subnet)) + ":" +
         netmask(place.subnet) + "::eth0:off";
}

std::vector<Request> configuration(const lang::Statement& jail, const wire::Place& place) {
  std::vector<Request> all = {machine_config(lang::jail_view(jail)), boot_source(place), root_drive(place)};
  if ((place.drives & wire::kDataDrive) != 0) all.push_back(data_drive(place));
  for (const FileDrive& each : kFileDrives) {
    if ((place.drives & each.bit) != 0) all.push_back(file_drive(each, place));
  }
  for (Request& request : std::vector<Request>{network_interface(place), vsock(place), mmds_config(), mmds(jail.subject, place), entropy(), balloon()}) {
    all.push_back(std::move(request));
  }
  return all;
}

Request start() { return {"PUT", "/actions", "{\"action_type\":\"InstanceStart\"}"}; }
Request pause() { return {"PATCH", "/vm", "{\"state\":\"Paused\"}"}; }
Request resume() { return {"PATCH", "/vm", "{\"state\":\"Resumed\"}"}; }

namespace {
Request create_snapshot_into(const std::string& memory) {
  return {"PUT", "/snapshot/create", "{\"snapshot_type\":\"Full\",\"snapshot_path\":\"/memory/state\",\"mem_file_path\":\"" + memory + "\"}"};
}
}  // namespace

Request create_snapshot() { return create_snapshot_into("/memory/memory"); }
Request create_held_snapshot() { return create_snapshot_into(kHoldInVmm); }
Request load_snapshot(Way way) {
  const std::string backend = way == Way::kPageByPage ? "\"backend_type\":\"Uffd\",\"backend_path\":\"/memory/uffd.sock\"" : "\"backend_type\":\"File\",\"backend_path\":\"/memory/memory\"";
  return {"PUT", "/snapshot/load", "{\"snapshot_path\":\"/memory/state\",\"mem_backend\":{" + backend + "},\"resume_vm\":false}"};
}
Request resize_balloon(std::uint32_t mib) { return {"PATCH", "/balloon", "{\"amount_mib\":" + std::to_string(mib) + "}"}; }
std::vector<Request> limits(const wire::Place& place) {
  std::vector<std::string> drives = {"rootfs"};
  if ((place.drives & wire::kDataDrive) != 0) drives.emplace_back("data");
  for (const FileDrive& each : kFileDrives) {
    if ((place.drives & each.bit) != 0) drives.emplace_back(each.name);
  }
  std::vector<Request> all;
  for (const std::string& name : drives) all.push_back({"PATCH", "/drives/" + name, "{\"drive_id\":\"" + name + "\"," + drive_limiter(place) + "}"});
  all.push_back({"PATCH", "/network-interfaces/eth0", "{\"iface_id\":\"eth0\"," + net_limiters(place) + "}"});
  return all;
}
Request metadata(const lang::Statement& jail, const wire::Place& place) { return mmds(jail.subject, place); }

Status check_version(std::string_view version) {
  std::array<std::uint64_t, 3> parts{};
  const char* at = version.data();
  const char* const end = at + version.size();
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (i > 0 && (at == end || *at++ != '.')) return fail(Errc::kUnsupported, "read Firecracker's version", std::string(version));
    const auto [next, error] = std::from_chars(at, end, parts[i]);
    if (error != std::errc()) return fail(Errc::kUnsupported, "read Firecracker's version", std::string(version));
    at = next;
  }
  if (at != end && *at != '-') return fail(Errc::kUnsupported, "read Firecracker's version", std::string(version));
  if (parts[0] < kOldestMajor || (parts[0] == kOldestMajor && parts[1] < kOldestMinor)) {
    return fail(Errc::kUnsupported, "use a Firecracker older than v1.10", std::string(version));
  }
  return {};
}

}  // namespace mvm::jail
