#include "broker/jail/requests.h"

#include <gtest/gtest.h>

#include <map>

#include "broker/jail/launch.h"
#include "policy-lang/table.h"
#include "tests/doubles/api_table.h"

namespace mvm::jail {
namespace {

lang::Statement jail_statement() {
  lang::Statement jail;
  jail.word = lang::Word::kJail;
  jail.subject = instance_subject(*Name::from("acme"), *Name::from("workers"), InstanceId{0xa3f7b2c1});
  jail.numbers = {1, 2, 1024, lang::kBootCold, lang::kRunning, lang::kAwake};
  return jail;
}

const wire::Place kPlace = {.net = 3, .subnet = {0x0af00300, 24}, .cidr = {0x0af00000, 12}, .slot = 5, .uid = 100'773, .generation = 42, .node = {}};

TEST(Requests, AreTheseBytesInThisOrder) {
  const std::vector<Request> expected = {
      {"PUT", "/machine-config", R"({"vcpu_count":2,"mem_size_mib":1024,"smt":false,"track_dirty_pages":false})"},
      {"PUT", "/boot-source",
       R"({"kernel_image_path":"/kernel","boot_args":"reboot=k panic=1 pci=off 8250.nr_uarts=0 i8042.noaux i8042.nomux i8042.dumbkbd quiet )"
       R"(loglevel=1 random.trust_cpu=on swiotlb=noforce net.ifnames=0 ipv6.disable=1 ip=10.240.3.5::10.240.3.1:255.255.255.0::eth0:off"})"},
      {"PUT", "/drives/rootfs",
       R"({"drive_id":"rootfs","path_on_host":"/rootfs","is_root_device":true,"is_read_only":true,"cache_type":"Unsafe",)"
       R"("rate_limiter":{"bandwidth":{"size":536870912,"refill_time":1000},"ops":{"size":50000,"refill_time":1000}}})"},
      {"PUT", "/network-interfaces/eth0",
       R"({"iface_id":"eth0","host_dev_name":"tn3i5","guest_mac":"06:6d:00:30:00:05",)"
       R"("rx_rate_limiter":{"bandwidth":{"size":268435456,"refill_time":1000},"ops":{"size":200000,"refill_time":1000}},)"
       R"("tx_rate_limiter":{"bandwidth":{"size":268435456,"refill_time":1000},"ops":{"size":200000,"refill_time":1000}}})"},
      {"PUT", "/vsock", R"({"guest_cid":5,"uds_path":"/run/v.sock"})"},
      {"PUT", "/mmds/config", R"({"version":"V2","network_interfaces":["eth0"]})"},
      {"PUT", "/mmds",
       R"({"mvm":{"tenant":"acme","pool":"workers","instance":"i-a3f7b2c1","slot":"5","address":"10.240.3.5","generation":"42"}})"},
      {"PUT", "/entropy", R"({"rate_limiter":{"bandwidth":{"size":65536,"refill_time":1000}}})"},
      {"PUT", "/balloon", R"({"amount_mib":0,"deflate_on_oom":true,"stats_polling_interval_s":1})"}};
  EXPECT_EQ(configuration(jail_statement(), kPlace), expected);
}

std::string body_of(const char* path, const wire::Place& place) {
  for (const Request& request : configuration(jail_statement(), place))
    if (request.path == path) return request.body;
  return {};
}

TEST(Requests, HaveDrivesThatAreFilesToBeReadAlone) {
  wire::Place place = kPlace;
  place.drives = wire::kSecretsDrive;
  EXPECT_EQ(body_of("/drives/secrets", place),
            R"({"drive_id":"secrets","path_on_host":"/secrets","is_root_device":false,"is_read_only":true,"cache_type":"Unsafe",)"
            R"("rate_limiter":{"bandwidth":{"size":536870912,"refill_time":1000},"ops":{"size":50000,"refill_time":1000}}})");
  EXPECT_EQ(body_of("/drives/config", place), "") << "those that stand, and no other";
  place.drives = wire::kConfigDrive;
  EXPECT_TRUE(body_of("/drives/config", place).contains(R"("path_on_host":"/config","is_root_device":false,"is_read_only":true)"));
}

// What the plan says of tap and cgroup, at the bounds that are built in, and one above.
TEST(Requests, LimitAsThePlanSaysAndNeverMoreThanIsBuiltIn) {
  wire::Place place = kPlace;
  place.pps = 1000, place.mbps = 80, place.io = 20;
  const std::string slow = R"({"bandwidth":{"size":10000000,"refill_time":1000},"ops":{"size":1000,"refill_time":1000}})";
  EXPECT_TRUE(body_of("/network-interfaces/eth0", place).contains(R"("rx_rate_limiter":)" + slow + R"(,"tx_rate_limiter":)" + slow + "}"));
  EXPECT_TRUE(body_of("/drives/rootfs", place).contains(R"("bandwidth":{"size":20971520,)"));
  place.pps = kNetPackets, place.io = kDriveBytes >> 20;
  const std::string most = body_of("/network-interfaces/eth0", place), most_of_drive = body_of("/drives/rootfs", place);
  EXPECT_TRUE(most.contains(R"("ops":{"size":200000,)"));
  EXPECT_EQ(most_of_drive, body_of("/drives/rootfs", kPlace));
  ++place.pps, ++place.io;
  EXPECT_EQ(most, body_of("/network-interfaces/eth0", place));
  EXPECT_EQ(most_of_drive, body_of("/drives/rootfs", place));
  place.pps = 0, place.mbps = 100'000;
  EXPECT_EQ(body_of("/network-interfaces/eth0", kPlace), body_of("/network-interfaces/eth0", place));
}

TEST(Requests, LimitWhatWakesByTheseBytes) {
  wire::Place place = kPlace;
  place.drives = wire::kDataDrive | wire::kConfigDrive;
  place.pps = 1000, place.mbps = 80, place.io = 20;
  const std::string drive = R"("rate_limiter":{"bandwidth":{"size":20971520,"refill_time":1000},"ops":{"size":50000,"refill_time":1000}}})";
  const std::string slow = R"({"bandwidth":{"size":10000000,"refill_time":1000},"ops":{"size":1000,"refill_time":1000}})";
  const std::vector<Request> expected = {
      {"PATCH", "/drives/rootfs", R"({"drive_id":"rootfs",)" + drive},
      {"PATCH", "/drives/data", R"({"drive_id":"data",)" + drive},
      {"PATCH", "/drives/config", R"({"drive_id":"config",)" + drive},
      {"PATCH", "/network-interfaces/eth0", R"({"iface_id":"eth0","rx_rate_limiter":)" + slow + R"(,"tx_rate_limiter":)" + slow + "}"}};
  EXPECT_EQ(limits(place), expected);
}

TEST(Requests, WriteASnapshotByTheseBytes) {
  const std::string begin = R"({"snapshot_type":"Full","snapshot_path":"/memory/state","mem_file_path":"/memory/)";
  EXPECT_EQ(create_snapshot(), (Request{"PUT", "/snapshot/create", begin + "memory\"}"}));
  EXPECT_EQ(create_held_snapshot(), (Request{"PUT", "/snapshot/create", begin + "hold\"}"}));
}

// The rule of the API's table that a request falls under, its path without what stands for {id}.
const doubles::RequestRule* rule_of(const Request& request) {
  const auto matches = [](const std::string& path, const std::string& pattern) {
    const std::size_t id = pattern.find("{id}");
    return id == std::string::npos ? path == pattern : path.starts_with(pattern.substr(0, id)) && path.find('/', id) == std::string::npos;
  };
  for (const doubles::RequestRule& rule : doubles::request_rules())
    if (rule.method == request.method && matches(request.path, rule.path)) return &rule;
  return nullptr;
}

std::vector<nlohmann::json> buckets_in(const nlohmann::json& body) {
  std::vector<nlohmann::json> found;
  for (const char* limiter : {"rate_limiter", "rx_rate_limiter", "tx_rate_limiter"})
    if (body.contains(limiter))
      for (const auto& [name, bucket] : body[limiter].items()) found.push_back(bucket);
  return found;
}

// A snapshot brings none that these do not set, or it would keep what it was made with.
TEST(Requests, LimitOfWhatWakesAllThatIsLimitedOfWhatBoots) {
  wire::Place place = kPlace;
  place.drives = wire::kAllDrives;
  place.pps = 1000, place.mbps = 80, place.io = 20;
  const auto limited = [&](const std::vector<Request>& requests) {
    std::map<std::string, std::vector<nlohmann::json>> found;
    for (const Request& request : requests) {
      if (auto buckets = buckets_in(doubles::parse_json(request.body)); !buckets.empty()) found[request.path] = std::move(buckets);
    }
    return found;
  };
  auto of_what_boots = limited(configuration(jail_statement(), place));
  EXPECT_EQ(of_what_boots.erase("/entropy"), 1u) << "the plan has no say in it";
  EXPECT_EQ(limited(limits(place)), of_what_boots);
}

// A bucket of size 0, or that refills in no time, is none to Firecracker (src/vmm/src/rate_limiter): the guest would have no limit.
TEST(Requests, HaveNoBucketThatFirecrackerTakesForNoLimitAndNoneThatItsDescriptionRefuses) {
  const auto most = [](lang::Word word, const char* field) { return lang::row(word).fields[lang::field_index(word, field)].max; };
  const std::uint64_t pps = most(lang::Word::kTap, "pps"), mbps = most(lang::Word::kTap, "mbps"), io = most(lang::Word::kCgroup, "io");
  for (const std::array<std::uint64_t, 3>& said : {std::array<std::uint64_t, 3>{0, 0, 0}, {1, 1, 1}, {pps, mbps, io}, {pps, 0, 1}, {1, mbps, 0}}) {
    wire::Place place = kPlace;
    place.drives = wire::kAllDrives;
    place.pps = said[0], place.mbps = said[1], place.io = said[2];
    std::size_t buckets = 0;
    for (const Request& request : configuration(jail_statement(), place)) {
      const doubles::RequestRule* rule = rule_of(request);
      ASSERT_NE(rule, nullptr) << request.path;
      const nlohmann::json body = doubles::parse_json(request.body);
      EXPECT_EQ(doubles::fault_in(body, doubles::body_rule(rule->body)), std::nullopt) << request.path << ": " << request.body;
      for (const nlohmann::json& bucket : buckets_in(body)) {
        ++buckets;
        EXPECT_GT(bucket["size"].get<std::uint64_t>(), 0u) << request.body;
        EXPECT_GT(bucket["refill_time"].get<std::uint64_t>(), 0u) << request.body;
        EXPECT_FALSE(bucket.contains("one_time_burst")) << "it would be had beyond the rate";
      }
    }
    EXPECT_EQ(buckets, 4 * 2 + 2 * 2 + 1u) << "four drives and both ways of the tap, in bytes and operations, and entropy's bytes";
  }
}

TEST(Requests, StartPauseAndResume) {
  EXPECT_EQ(start(), (Request{"PUT", "/actions", R"({"action_type":"InstanceStart"})"}));
  EXPECT_EQ(pause(), (Request{"PATCH", "/vm", R"({"state":"Paused"})"}));
  EXPECT_EQ(resume(), (Request{"PATCH", "/vm", R"({"state":"Resumed"})"}));
}

TEST(Requests, WriteTheMaskOfEveryPrefix) {
  wire::Place place = kPlace;
  place.subnet = {0x0af00000, 12};
  EXPECT_NE(boot_args(place).find(":255.240.0.0::eth0:off"), std::string::npos);
  place.subnet = {0x0af00300, 29};
  EXPECT_NE(boot_args(place).find(":255.255.255.248::eth0:off"), std::string::npos);
}

// The longest of all has room on the x86 command line, of which Firecracker adds its own to what we say.
TEST(Requests, LeaveRoomOnTheCommandLine) { EXPECT_LT(boot_args(kPlace).size(), 512u); }

TEST(CheckVersion, TakesOnePointTenAndLater) {
  for (const char* version : {"1.10.0", "1.10.1", "1.16.1", "1.16.1-mvm-test-double", "2.0.0"}) EXPECT_TRUE(check_version(version)) << version;
}

TEST(CheckVersion, RefusesTheRest) {
  for (const char* version : {"1.9.9", "0.25.0", "", "1", "1.16", "1.16.", "1.16.x", "v1.16.1", "1.16.1x", "-1.16.1", "1.99999999999999999999.1"}) {
    const auto checked = check_version(version);
    ASSERT_FALSE(checked) << version;
    EXPECT_EQ(checked.error().code, Errc::kUnsupported);
  }
}

TEST(JailerCommand, IsThis) {
  const std::vector<std::string> expected = {
      "jailer", "--id", "i-a3f7b2c1", "--exec-file", "/opt/firecracker/firecracker", "--uid", "100773", "--gid", "100773",
      "--chroot-base-dir", "/var/lib/mvm/jails/acme/workers", "--new-pid-ns", "--resource-limit", "fsize=1073741824",
      "--resource-limit", "no-file=2048", "--", "--api-sock", "/run/firecracker.socket", "--log-path", "/memory/firecracker.log",
      "--level", "Warning"};
  EXPECT_EQ(jailer_command({InstanceId{0xa3f7b2c1}, "/opt/firecracker/firecracker", "/var/lib/mvm/jails/acme/workers", 100'773, 1024}), expected);
}

}  // namespace
}  // namespace mvm::jail
