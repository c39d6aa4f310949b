// What a guest reads of its metadata service: its own names and numbers by a token of its own, and nothing else.
#include <map>

#include "tests/jail/jail_fixture.h"

namespace mvm::jail {
namespace {

class DoubledMetadata : public JailFixture {
 protected:
  void SetUp() override {
    if (real()) GTEST_SKIP() << "the guest of a real Firecracker is not told to ask";
    JailFixture::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    anchor();
    fs::create_directories(cgroup_ + "/beta/jobs/i-0000000b");
    other_ = task(wire::Op::kMake, lang::Word::kJail);
    other_.statement.subject = instance_subject(*Name::from("beta"), *Name::from("jobs"), InstanceId{0xb});
    other_.place = {.net = 4, .subnet = {0x0af00400, 24}, .cidr = {0x0af00000, 12}, .slot = 9, .uid = kUid + 1, .generation = 43, .node = {}};
    make_tap(tap_name(4, 9), other_.place.subnet, kUid + 1);
    for (const wire::Answer& made : {make(), run(other_)}) ASSERT_TRUE(made.ok) << made.error.message();
  }
  void TearDown() override {
    if (executor_ != nullptr) {
      other_.op = wire::Op::kUnmake, other_.statement.sign = lang::Sign::kRemove;
      (void)run(other_);
    }
    for (const char* below : {"/beta/jobs/i-0000000b/vm", "/beta/jobs/i-0000000b", "/beta/jobs", "/beta"}) rmdir((cgroup_ + below).c_str());
    JailFixture::TearDown();
  }
  [[nodiscard]] std::string others_root() const { return state_ + "/jails/beta/jobs/firecracker/i-0000000b/root"; }

  static std::string token_of(const std::string& root) {
    const std::string answer = ask_guest_of(root, "mmds PUT /latest/api/token X-metadata-token-ttl-seconds:60");
    EXPECT_TRUE(answer.starts_with("200 ")) << answer;
    return answer.substr(std::min<std::size_t>(answer.size(), 4));
  }
  static std::string get(const std::string& root, const std::string& path, const std::string& token) {
    return ask_guest_of(root, "mmds GET " + path + " X-metadata-token:" + token);
  }

  wire::Task other_;
};

TEST_F(DoubledMetadata, IsEachInstancesOwnAndNothingMore) {
  const std::map<std::string, std::array<std::string, 2>> wanted = {
      {"tenant", {"acme", "beta"}},         {"pool", {"workers", "jobs"}},  {"instance", {"i-a3f7b2c1", "i-0000000b"}},
      {"slot", {"5", "9"}},                 {"address", {"10.240.3.5", "10.240.4.9"}}, {"generation", {"42", "43"}}};
  const std::array roots = {root_path(), others_root()};
  for (std::size_t i = 0; i < roots.size(); ++i) {
    const std::string token = token_of(roots[i]);
    EXPECT_EQ(get(roots[i], "/", token), "200 mvm/");
    EXPECT_EQ(get(roots[i], "/mvm", token), "200 address,generation,instance,pool,slot,tenant") << "all that there is, in the order of names";
    for (const auto& [name, values] : wanted) EXPECT_EQ(get(roots[i], "/mvm/" + name, token), "200 " + values[i]) << name;
  }
}

TEST_F(DoubledMetadata, IsGivenForATokenAlone) {
  EXPECT_TRUE(ask_guest("mmds GET /mvm/tenant").starts_with("401 ")) << "version 1 would answer";
  EXPECT_TRUE(get(root_path(), "/mvm/tenant", std::string(48, '0')).starts_with("401 "));
  EXPECT_TRUE(ask_guest("mmds PUT /latest/api/token X-metadata-token-ttl-seconds:60 X-Forwarded-For:10.0.0.1").starts_with("400 "));
}

TEST_F(DoubledMetadata, OfAnotherIsNotGivenForATokenOfOnesOwn) {
  const std::string mine = token_of(root_path()), its = token_of(others_root());
  EXPECT_EQ(get(root_path(), "/mvm/tenant", its), "401 MMDS token not valid.");
  EXPECT_EQ(get(others_root(), "/mvm/tenant", mine), "401 MMDS token not valid.");
}

}  // namespace
}  // namespace mvm::jail
