#include "planner/api.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <thread>

#include "base/descriptors.h"
#include "planner/agent_client.h"
#include "planner/files.h"
#include "planner/unix_socket.h"

namespace mvm::planner {
namespace {

const wire::AgentRequest kWake = wire::WakePool{pool_subject(*Name::from("acme"), *Name::from("web")), 2};

class AgentApi : public ::testing::Test {
 protected:
  void SetUp() override {
    path_ = ::testing::TempDir() + "api-" + std::to_string(getpid());
    auto listener = Api::listen_at(path_);
    ASSERT_TRUE(listener);
    api_.emplace(*std::move(listener), peers_);
  }
  void TearDown() override { unlink(path_.c_str()); }
  Fd connected() const {
    auto client = connect_to(path_, "connect to agentd");
    EXPECT_TRUE(client);
    return client ? *std::move(client) : Fd();
  }
  static void say(const Fd& client, const std::vector<std::uint8_t>& bytes) {
    EXPECT_EQ(send(client.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
  }
  // All that is there to be taken.
  std::vector<Api::Asked> take() {
    std::vector<Api::Asked> all;
    for (int i = 0; i < 4; ++i) {
      std::vector<pollfd> polled;
      api_->add_to(polled);
      if (poll(polled.data(), polled.size(), 0) < 0) ADD_FAILURE();
      std::ranges::move(api_->take(polled), std::back_inserter(all));
    }
    return all;
  }
  static bool is_closed(const Fd& client) {
    char byte = 0;
    return recv(client.get(), &byte, 1, MSG_DONTWAIT) == 0;
  }

  Peers peers_{getuid(), getgid()};
  std::string path_;
  std::optional<Api> api_;
};

TEST_F(AgentApi, TakesARequestAndAnswersIt) {
  wire::AgentAnswer got;
  std::thread client([&] { got = ask_agent(path_, kWake).value(); });
  std::vector<Api::Asked> asked;
  while (asked.empty()) asked = take();
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_EQ(asked[0].request, kWake);
  api_->answer(asked[0].who, {true, 2, 1, ""});
  client.join();
  EXPECT_EQ(got, (wire::AgentAnswer{true, 2, 1, ""}));
}

TEST_F(AgentApi, IsForItsUserAndItsGroup) {
  struct stat status {};
  ASSERT_EQ(stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0660u);
}

TEST_F(AgentApi, ClosesWhatIsNoRequest) {
  const Fd noise = connected(), much = connected(), carries = connected();
  say(noise, {1, 2, 3});
  say(much, std::vector<std::uint8_t>(wire::kMaxAgentMessage + 1, 7));
  ASSERT_TRUE(send_with_descriptors(carries.get(), wire::encode(kWake), std::array{carries.get()}));
  EXPECT_TRUE(take().empty());
  EXPECT_TRUE(is_closed(noise));
  EXPECT_TRUE(is_closed(much));
  EXPECT_TRUE(is_closed(carries)) << "a descriptor came with it";
}

TEST_F(AgentApi, HearsOneRequestAConnection) {
  const Fd client = connected();
  say(client, wire::encode(kWake));
  say(client, wire::encode(kWake));
  EXPECT_EQ(take().size(), 1u);
  char byte = 0;
  EXPECT_EQ(recv(client.get(), &byte, 1, MSG_DONTWAIT), -1);
  EXPECT_EQ(errno, EAGAIN) << "the first is not given up for the second";
}

TEST_F(AgentApi, KeepsSoManyConnectionsAndDropsTheOldestThatAsksNothing) {
  std::vector<Fd> idle;
  for (std::size_t i = 0; i < kMaxApiConnections; ++i) idle.push_back(connected());
  EXPECT_TRUE(take().empty());
  const Fd late = connected();
  say(late, wire::encode(kWake));
  EXPECT_EQ(take().size(), 1u);
  EXPECT_TRUE(is_closed(idle[0]));
  EXPECT_FALSE(is_closed(idle[1]));
}

TEST_F(AgentApi, WhoWaitsForAnAnswerIsNotDroppedForAnother) {
  std::vector<Fd> waiting;
  for (std::size_t i = 0; i < kMaxApiConnections; ++i) {
    waiting.push_back(connected());
    say(waiting.back(), wire::encode(kWake));
    EXPECT_EQ(take().size(), 1u);
  }
  const Fd late = connected();
  EXPECT_TRUE(take().empty());
  EXPECT_TRUE(is_closed(late));
  for (const Fd& each : waiting) EXPECT_FALSE(is_closed(each));
  waiting.erase(waiting.begin());
  EXPECT_TRUE(take().empty());
  const Fd next = connected();
  say(next, wire::encode(kWake));
  EXPECT_EQ(take().size(), 1u) << "one that waited has gone";
}

TEST_F(AgentApi, AnswersNobodyWhoIsNotThere) {
  api_->answer(4711, {});
  EXPECT_EQ(ask_agent(path_ + "-not", kWake).error().code, Errc::kSystem);
}

// Root may ask anyone, so it takes a child of another user and group to be refused.
TEST_F(AgentApi, ClosesToEveryoneElse) {
  if (getuid() != 0) GTEST_SKIP() << "takes root, to be another";
  ASSERT_EQ(chmod(path_.c_str(), 0777), 0);
  api_.emplace(Api::listen_at(path_).value(), Peers{64'998, 64'997});
  ASSERT_EQ(chmod(path_.c_str(), 0777), 0);
  const auto asks_as = [&](uid_t uid, gid_t gid) {
    const pid_t child = fork();
    if (child == 0) {
      if (setgid(gid) != 0 || setuid(uid) != 0) _exit(3);
      const Fd client = connected();
      const auto bytes = wire::encode(kWake);
      (void)!send(client.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      pollfd waited{client.get(), POLLIN, 0};
      poll(&waited, 1, 10'000);
      _exit(0);
    }
    std::size_t heard = 0;
    for (int i = 0; i < 400 && heard == 0; ++i) {
      const auto asked = take();
      for (const auto& each : asked) api_->answer(each.who, {});
      heard = asked.size();
      int status = 0;
      if (waitpid(child, &status, WNOHANG) == child) return heard != 0;
      usleep(5000);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return heard != 0;
  };
  EXPECT_FALSE(asks_as(64'990, 64'990));
  EXPECT_TRUE(asks_as(64'998, 64'990)) << "its own user";
  EXPECT_TRUE(asks_as(64'990, 64'997)) << "its own group";
  EXPECT_TRUE(asks_as(0, 0));
}

}  // namespace
}  // namespace mvm::planner
