// `mvm plan apply`, with the test as hostd and as agentd.
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <set>
#include <thread>

#include "planner/api.h"
#include "planner/files.h"
#include "tests/planner/played_broker.h"
#include "tests/planner/texts.h"

namespace mvm {
namespace {

const Name kAcme = *Name::from("acme"), kWeb = *Name::from("web");

class PlanApply : public ::testing::Test {
 protected:
  void SetUp() override {
    dir_ = ::testing::TempDir() + "mvm-apply-" + std::to_string(getpid()) + "/";
    std::filesystem::remove_all(dir_);
    std::filesystem::create_directory(dir_);
    std::filesystem::permissions(dir_, std::filesystem::perms(0777));
    ASSERT_TRUE(planner::replace_file(dir_ + "projection", test::projection_text(1, test::kPrune + test::tenant("acme", 3)), 0644));
    ASSERT_TRUE(planner::replace_file(dir_ + "projection.sig", std::string(wire::kSignatureBytes, 'x'), 0644));
    std::string lines;
    for (const char* subject : {"acme/web/i-00000001", "acme/web/i-00000002"}) lines += "~ jail " + std::string(subject) + " running>warm\n";
    ASSERT_TRUE(planner::replace_file(dir_ + "plan", test::sealed("mvm-plan 1\nnode node-7\ngeneration 1\ndesired sha256:" + std::string(64, '5') + "\nbase sha256:" +
                                                                    std::string(64, '6') + "\n+ bridge acme net=3 subnet=10.240.3.0/24\n" + lines), 0644));
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }
  // Root would look for a user of that name, which a machine that builds has not.
  static std::string as_whom() { return getuid() == 0 ? "setpriv --reuid=" + std::to_string(kUser) + " --regid=" + std::to_string(kUser) + " --clear-groups " : ""; }
  static constexpr uid_t kUser = 65'534;
  // Exit code and what was printed.
  std::pair<int, std::string> apply(const std::string& options = "") const {
    FILE* const pipe = popen((as_whom() + MVM_BINARY + " --socket " + dir_ + "hostd plan apply " + dir_ + "plan --projection " + dir_ + "projection --agent " + dir_ + "agentd" + options + " 2>&1").c_str(), "r");
    std::string out;
    std::array<char, 4096> buffer;
    for (std::size_t count = 0; (count = fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) out.append(buffer.data(), count);
    const int status = pclose(pipe);
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, out};
  }
  // Applies it while agentd answers, and gives what that was asked, with how many plans hostd had by then.
  std::vector<std::pair<wire::AgentRequest, std::size_t>> asked_while_applied(test::PlayedBroker& broker, const std::string& options = "") {
    planner::Api api(planner::Api::listen_at(dir_ + "agentd").value(), {getuid() == 0 ? kUser : getuid(), getgid()});
    std::filesystem::permissions(dir_ + "agentd", std::filesystem::perms(0777));
    std::vector<std::pair<wire::AgentRequest, std::size_t>> asked;
    std::atomic<bool> over = false;
    std::thread agent([&] {
      while (!over) {
        std::vector<pollfd> polled;
        api.add_to(polled);
        if (poll(polled.data(), polled.size(), 20) <= 0) continue;
        for (const auto& each : api.take(polled)) {
          asked.emplace_back(each.request, broker.plans.size());
          api.answer(each.who, {});
        }
      }
    });
    const auto [exit, out] = apply(options);
    EXPECT_EQ(exit, 0) << out;
    over = true;
    agent.join();
    return asked;
  }

  std::string dir_;
};

TEST_F(PlanApply, HasAgentdHoldTheInstancesThatItIsAboutBeforeHostdHasIt) {
  test::PlayedBroker broker(dir_ + "hostd", test::empty_state(), {wire::Accepted{}, wire::Finished{}});
  const auto asked = asked_while_applied(broker);
  ASSERT_EQ(asked.size(), 2u);
  for (std::uint32_t i = 0; i < 2; ++i) {
    EXPECT_EQ(asked[i].first, wire::AgentRequest(wire::HoldInstance{instance_subject(kAcme, kWeb, {i + 1}), 600}));
    EXPECT_EQ(asked[i].second, 0u);
  }
  EXPECT_EQ(broker.plans.size(), 1u);
  EXPECT_EQ(asked_while_applied(broker, " --hold 7").at(0).first, wire::AgentRequest(wire::HoldInstance{instance_subject(kAcme, kWeb, {1}), 7}));
}

TEST_F(PlanApply, HoldsNothingWhereItIsNotTo) {
  test::PlayedBroker broker(dir_ + "hostd", test::empty_state(), {wire::Accepted{}, wire::Finished{}});
  EXPECT_TRUE(asked_while_applied(broker, " --hold 0").empty());
  EXPECT_EQ(broker.plans.size(), 1u);
}

TEST_F(PlanApply, SaysSoWhereAgentdMayUndoItAndNothingWhereThereIsNoAgentd) {
  test::PlayedBroker broker(dir_ + "hostd", test::empty_state(), {wire::Accepted{}, wire::Finished{}});
  const auto alone = apply();
  EXPECT_EQ(alone.first, 0) << alone.second;
  EXPECT_EQ(alone.second.find("agentd"), std::string::npos) << alone.second;
  ASSERT_TRUE(planner::Api::listen_at(dir_ + "agentd"));
  std::filesystem::permissions(dir_ + "agentd", std::filesystem::perms(0777));
  EXPECT_EQ(apply().second.find("agentd"), std::string::npos) << "one that has gone";
  std::filesystem::remove(dir_ + "agentd");
  // One of another kind: nobody who listens there is asked.
  const Fd stream(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, (dir_ + "agentd").c_str(), sizeof address.sun_path - 1);
  ASSERT_EQ(bind(stream.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(listen(stream.get(), 1), 0);
  std::filesystem::permissions(dir_ + "agentd", std::filesystem::perms(0777));
  const auto undone = apply();
  EXPECT_EQ(undone.first, 0) << undone.second;
  EXPECT_NE(undone.second.find("note: agentd may undo this"), std::string::npos) << undone.second;
  EXPECT_EQ(broker.plans.size(), 3u);
}

}  // namespace
}  // namespace mvm
