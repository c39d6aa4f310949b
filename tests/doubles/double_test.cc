// The doubles refuse what the originals refuse: bodies, order, arguments. That the table is the API's is api_table_test.py's.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <fstream>

#include "tests/doubles/arguments.h"
#include "tests/doubles/vmm.h"

namespace mvm::doubles {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class DoubledVmm : public testing::Test {
 protected:
  Reply put(const std::string& path, const std::string& body) { return vmm_.handle("PUT", path, body); }
  std::string refusal(const std::string& method, const std::string& path, const std::string& body) {
    const Reply reply = vmm_.handle(method, path, body);
    EXPECT_EQ(reply.status, 400) << reply.body;
    return reply.status == 400 ? nlohmann::json::parse(reply.body)["fault_message"].get<std::string>() : "";
  }
  void boot() {
    ASSERT_EQ(put("/boot-source", R"({"kernel_image_path":"/dev/null"})").status, 204);
    ASSERT_EQ(put("/actions", R"({"action_type":"InstanceStart"})").status, 204);
  }
  Vmm vmm_{"i-a3f7b2c1", kVersion};
};

TEST_F(DoubledVmm, SaysWhatItIs) {
  EXPECT_EQ(vmm_.handle("GET", "/version", "").body, R"({"firecracker_version":"1.16.1-mvm-test-double"})");
  EXPECT_EQ(vmm_.handle("GET", "/", "").body,
            R"({"id":"i-a3f7b2c1","state":"Not started","vmm_version":"1.16.1-mvm-test-double","app_name":"Firecracker"})");
}

TEST_F(DoubledVmm, RefusesABodyThatIsNotTheTables) {
  EXPECT_THAT(refusal("PUT", "/machine-config", R"({"vcpu_count":1,"mem_size_mib":64,"x":1})"), HasSubstr("unknown field `x`"));
  EXPECT_THAT(refusal("PUT", "/machine-config", R"({"vcpu_count":1})"), HasSubstr("missing field `mem_size_mib`"));
  EXPECT_THAT(refusal("PUT", "/machine-config", R"({"vcpu_count":"1","mem_size_mib":64})"), HasSubstr("invalid type"));
  EXPECT_THAT(refusal("PUT", "/machine-config", R"({"vcpu_count":33,"mem_size_mib":64})"), HasSubstr("vcpu_count"));
  EXPECT_THAT(refusal("PUT", "/machine-config", R"({"vcpu_count":1,"vcpu_count":1,"mem_size_mib":64})"), HasSubstr("duplicate field `vcpu_count`"));
  EXPECT_THAT(refusal("PUT", "/actions", R"({"action_type":"Start"})"), HasSubstr("unknown variant `Start`"));
  EXPECT_THAT(refusal("PUT", "/entropy", R"({"rate_limiter":{"bandwidth":{"size":1}}})"), HasSubstr("missing field `refill_time`"));
  EXPECT_THAT(refusal("PUT", "/vsock", R"({"guest_cid":2,"uds_path":"/x"})"), HasSubstr("guest_cid"));
  EXPECT_THAT(refusal("PUT", "/entropy", "{"), HasSubstr("deserializing the json body"));
  EXPECT_EQ(refusal("PUT", "/entropy", ""), "Empty PUT request.");
  EXPECT_EQ(refusal("GET", "/version", "{}"), "GET request cannot have a body.");
}

TEST_F(DoubledVmm, RefusesWhatIsNoRequest) {
  EXPECT_THAT(refusal("GET", "/nothing", ""), StartsWith("Invalid request method and/or path"));
  EXPECT_THAT(refusal("DELETE", "/version", ""), StartsWith("Invalid request method and/or path"));
  EXPECT_THAT(refusal("PUT", "/drives/a-b", R"({"drive_id":"a-b","is_root_device":true})"), HasSubstr("alphanumeric"));
  EXPECT_THAT(refusal("PUT", "/drives/a", R"({"drive_id":"b","is_root_device":true})"), HasSubstr("does not match"));
}

TEST_F(DoubledVmm, RefusesTheWrongOrder) {
  EXPECT_EQ(refusal("PUT", "/actions", R"({"action_type":"InstanceStart"})"), "Start microvm error: Cannot start microvm without kernel configuration.");
  EXPECT_EQ(refusal("PATCH", "/vm", R"({"state":"Paused"})"), "The requested operation is not supported before starting the microVM.");
  EXPECT_THAT(refusal("PUT", "/mmds/config", R"({"version":"V2","network_interfaces":["eth0"]})"), HasSubstr("does not correspond to any existing"));
  boot();
  const char* const kAfter = "The requested operation is not supported after starting the microVM.";
  EXPECT_EQ(refusal("PUT", "/actions", R"({"action_type":"InstanceStart"})"), kAfter);
  EXPECT_EQ(refusal("PUT", "/machine-config", R"({"vcpu_count":1,"mem_size_mib":64})"), kAfter);
  EXPECT_EQ(refusal("PUT", "/entropy", "{}"), kAfter);
  EXPECT_EQ(refusal("PUT", "/drives/a", R"({"drive_id":"a","is_root_device":false,"path_on_host":"/dev/null"})"), "PCI is not enabled");
}

// The metadata service's dance, as its user guide has it.
TEST_F(DoubledVmm, GivesMetadataForATokenOfItsOwnAlone) {
  EXPECT_THAT(vmm_.mmds_command("GET /a"), StartsWith("no service"));
  const std::string asked = "X-metadata-token-ttl-seconds:";
  Mmds mine, its;
  const nlohmann::json store = {{"a", "1"}, {"b", {{"c", "2"}}}, {"n", 3}};
  EXPECT_THAT(mine.answer("GET /a", store), StartsWith("401 No MMDS token provided"));
  EXPECT_THAT(mine.answer("PUT /latest/api/token", store), StartsWith("400 Token time to live value not found"));
  for (const char* ttl : {"0", "21601", "x", "-1"}) EXPECT_THAT(mine.answer("PUT /latest/api/token " + asked + ttl, store), StartsWith("400 Invalid time")) << ttl;
  EXPECT_THAT(mine.answer("PUT /latest/api/token X-Forwarded-For:1 " + asked + "60", store), StartsWith("400 "));
  EXPECT_THAT(mine.answer("PUT /a " + asked + "60", store), StartsWith("404 "));
  EXPECT_THAT(mine.answer("POST /a", store), StartsWith("405 "));
  const std::string token = mine.answer("PUT /latest/api/token " + asked + "21600", store).substr(4), with = " x-metadata-token:" + token;
  EXPECT_EQ(mine.answer("GET /a" + with, store), "200 1");
  EXPECT_EQ(mine.answer("GET /b/c" + with, store), "200 2");
  EXPECT_EQ(mine.answer("GET /" + with, store), "200 a,b/,n");
  EXPECT_EQ(mine.answer("GET /b" + with + " Accept:application/json", store), R"(200 {"c":"2"})");
  EXPECT_THAT(mine.answer("GET /n" + with, store), StartsWith("501 "));
  EXPECT_THAT(mine.answer("GET /d" + with, store), StartsWith("404 "));
  EXPECT_EQ(its.answer("GET /a" + with, store), "401 MMDS token not valid.");
  EXPECT_EQ(mine.answer("GET /a X-metadata-token:" + std::string(48, '0'), store), "401 MMDS token not valid.");
}

TEST_F(DoubledVmm, TellsItsState) {
  boot();
  const auto state = [&] { return nlohmann::json::parse(vmm_.handle("GET", "/", "").body)["state"]; };
  EXPECT_EQ(state(), "Running");
  EXPECT_EQ(vmm_.handle("PATCH", "/vm", R"({"state":"Paused"})").status, 204);
  EXPECT_EQ(state(), "Paused");
  EXPECT_EQ(vmm_.handle("PATCH", "/vm", R"({"state":"Resumed"})").status, 204);
  EXPECT_EQ(state(), "Running");
}

TEST_F(DoubledVmm, RefusesASecondRootDriveAndAFileThatIsNotThere) {
  EXPECT_EQ(put("/drives/a", R"({"drive_id":"a","is_root_device":true,"path_on_host":"/dev/null"})").status, 204);
  EXPECT_EQ(refusal("PUT", "/drives/b", R"({"drive_id":"b","is_root_device":true,"path_on_host":"/dev/null"})"),
            "Drive config error: A root block device already exists!");
  EXPECT_THAT(refusal("PUT", "/drives/c", R"({"drive_id":"c","is_root_device":false,"path_on_host":"/nowhere"})"), HasSubstr("os error 2"));
  EXPECT_THAT(refusal("PUT", "/boot-source", R"({"kernel_image_path":"/nowhere"})"), HasSubstr("kernel file cannot be opened"));
}

TEST_F(DoubledVmm, RefusesWhatTheRealOneRefusesThoughTheApiDescriptionDoesNot) {
  EXPECT_THAT(refusal("PUT", "/machine-config", R"({"vcpu_count":3,"mem_size_mib":64,"smt":true})"), HasSubstr("an even number if SMT is enabled"));
  EXPECT_THAT(refusal("PUT", "/vsock", R"({"guest_cid":4294967296,"uds_path":"/x"})"), HasSubstr("expected u32"));
  EXPECT_THAT(refusal("PUT", "/vsock", R"({"guest_cid":3,"uds_path":"/)" + std::string(107, 'x') + R"("})"), HasSubstr("shorter than SUN_LEN"));
  const auto boot_args = [](std::size_t size) { return R"({"kernel_image_path":"/dev/null","boot_args":")" + std::string(size, 'x') + R"("})"; };
  EXPECT_EQ(put("/boot-source", boot_args(2047)).status, 204);
  EXPECT_THAT(refusal("PUT", "/boot-source", boot_args(2048)), HasSubstr("Invalid cmdline capacity"));
  boot();
  EXPECT_EQ(refusal("PUT", "/mmds", R"({"a":"b"})"), "MMDS error: The MMDS data store is not initialized.");
}

TEST_F(DoubledVmm, HasABalloonOnlyWhereOneWasPutBeforeItStarted) {
  EXPECT_EQ(refusal("GET", "/balloon", ""), "Balloon config error: No balloon device found.");
  EXPECT_THAT(refusal("PUT", "/balloon", R"({"amount_mib":1})"), HasSubstr("missing field"));
  EXPECT_THAT(refusal("PATCH", "/balloon", R"({"amount_mib":1})"), HasSubstr("before starting"));
  boot();
  EXPECT_THAT(refusal("PUT", "/balloon", R"({"amount_mib":1,"deflate_on_oom":true})"), HasSubstr("after starting"));
  EXPECT_EQ(refusal("PATCH", "/balloon", R"({"amount_mib":1})"), "Balloon update error: Failed perform action on device: Device not found");
  EXPECT_THAT(refusal("GET", "/balloon/statistics", ""), HasSubstr("Device not found"));
}

TEST_F(DoubledVmm, InflatesItsBalloonUpToWhatItsGuestHasToSpare) {
  ASSERT_EQ(put("/machine-config", R"({"vcpu_count":1,"mem_size_mib":64})").status, 204);
  EXPECT_THAT(refusal("PUT", "/balloon", R"({"amount_mib":65,"deflate_on_oom":true})"), HasSubstr("too large"));
  EXPECT_THAT(refusal("PUT", "/balloon", R"({"amount_mib":0,"deflate_on_oom":true,"stats_polling_interval_s":65536})"), HasSubstr("expected u16"));
  ASSERT_EQ(put("/balloon", R"({"amount_mib":0,"deflate_on_oom":true,"stats_polling_interval_s":1})").status, 204);
  boot();
  EXPECT_THAT(refusal("PATCH", "/balloon", R"({"amount_mib":65})"), HasSubstr("Requested memory should be less than"));
  EXPECT_THAT(refusal("PATCH", "/balloon/statistics", R"({"stats_polling_interval_s":0})"), HasSubstr("cannot be enabled/disabled"));
  ASSERT_EQ(vmm_.handle("PATCH", "/balloon", R"({"amount_mib":60})").status, 204);
  for (int i = 0; i < 20; ++i) ASSERT_EQ(vmm_.handle("GET", "/balloon/statistics", "").status, 200);
  EXPECT_EQ(vmm_.memory_command("balloon"), "asked=60 given=48");
  ASSERT_EQ(vmm_.handle("PATCH", "/balloon", R"({"amount_mib":0})").status, 204);
  EXPECT_EQ(vmm_.memory_command("balloon"), "asked=0 given=0");
}

TEST_F(DoubledVmm, SaysSoOfWhatItDoesNotDouble) {
  EXPECT_THAT(refusal("PUT", "/metrics", R"({"metrics_path":"/x"})"), StartsWith("fake-firecracker:"));
  boot();
}

// What a program prints and how it ends.
struct Ran {
  int status;
  std::string text;
};
Ran run(const std::string& command) {
  FILE* const pipe = popen((command + " 2>&1").c_str(), "r");
  std::string text;
  for (std::array<char, 256> part; std::fgets(part.data(), part.size(), pipe) != nullptr;) text += part.data();
  return {WEXITSTATUS(pclose(pipe)), text};
}

TEST(DoubledJailer, RefusesWhatTheJailerRefuses) {
  const std::string jailer = MVM_FAKE_JAILER;
  const std::string rest = " --exec-file " MVM_FAKE_FIRECRACKER " --uid 1234 --gid 1234 --chroot-base-dir /tmp";
  const auto refused = [&](const std::string& arguments, const char* why) {
    const Ran ran = run(jailer + arguments);
    EXPECT_EQ(ran.status, 1) << arguments;
    EXPECT_THAT(ran.text, HasSubstr(why)) << arguments;
  };
  refused("", "'exec-file' required, but not found");
  refused(" --id a_b" + rest, "Invalid instance ID: Invalid char (_) at position 1");
  refused(" --id " + std::string(65, 'a') + rest, "Invalid len (65)");
  refused(" --id a --id b" + rest, "The argument 'id' was provided more than once.");
  refused(" --id a --nonsense" + rest, "Found argument '--nonsense' which wasn't expected");
  refused(" --id a" + rest + " --resource-limit files=1", "Invalid resource argument: files");
  refused(" --id a" + rest + " --resource-limit fsize=x", "Invalid limit value for resource: x");
  refused(" --id a" + rest + " --resource-limit fsize", "Invalid format for resources limits");
  refused(" --id a --exec-file /nowhere --uid 1 --gid 1", "Failed to canonicalize path /nowhere");
  refused(" --id a --exec-file /tmp --uid 1 --gid 1 --chroot-base-dir /tmp", "is not a file");
  refused(" --id a --exec-file " MVM_FAKE_FIRECRACKER " --uid x --gid 1 --chroot-base-dir /tmp", "Invalid uid: x");
  refused(" --id a --exec-file " MVM_FAKE_FIRECRACKER " --uid 1 --gid 4294967296 --chroot-base-dir /tmp", "Invalid gid: 4294967296");
}

TEST(Doubles, AreNamedInTheirVersions) {
  EXPECT_EQ(run(MVM_FAKE_JAILER " --version").text, "Jailer v1.16.1-mvm-test-double\n\n");
  EXPECT_EQ(run(MVM_FAKE_FIRECRACKER " --version").text, "Firecracker v1.16.1-mvm-test-double\n\n");
}

TEST(DoubledFirecracker, RefusesItsArgumentsAsFirecrackerDoes) {
  EXPECT_THAT(run(MVM_FAKE_FIRECRACKER " --no-seccomp --seccomp-filter x").text, HasSubstr("cannot be used together"));
  EXPECT_THAT(run(MVM_FAKE_FIRECRACKER " --no-api").text, HasSubstr("'config-file' required"));
  EXPECT_THAT(run(MVM_FAKE_FIRECRACKER " --id a_b").text, HasSubstr("Invalid instance ID"));
  EXPECT_THAT(run(MVM_FAKE_FIRECRACKER " --log-path /nowhere").text, HasSubstr("Could not initialize logger"));
}

}  // namespace
}  // namespace mvm::doubles
