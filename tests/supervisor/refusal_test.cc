// Bad input: each is answered by a clear error or by nothing but the end of the connection, and nothing is changed.
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/sealed.h"
#include "tests/supervisor/hostd_process.h"

namespace mvm::test {
namespace {

using lang::Rule;

class Refusal : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(hostd.start()) << hostd.errors();
    projection = projection_text();
    plan = plan_text(empty_state(), running_lines(1, 1), projection);
  }
  // Nothing stands, nothing is noted as the last plan, and it still serves.
  void TearDown() override {
    EXPECT_FALSE(hostd.gone()) << hostd.errors();
    EXPECT_TRUE(hostd.things().empty());
    EXPECT_EQ(hostd.state(), empty_state());
    const Reply checked = hostd.submit(plan, projection, wire::Mode::kCheck);
    EXPECT_TRUE(checked.last && std::holds_alternative<wire::Accepted>(*checked.last));
  }

  void expect_refused(const Reply& reply, Rule rule, const std::string& why, bool in_projection = false) {
    ASSERT_TRUE(reply.last) << reply.last.error().message();
    const auto* refused = std::get_if<wire::Refused>(&*reply.last);
    ASSERT_NE(refused, nullptr) << reply.last->index();
    EXPECT_EQ(refused->refusal.rule, rule) << refused->refusal.message();
    EXPECT_NE(refused->refusal.why.find(why), std::string::npos) << refused->refusal.message();
    EXPECT_NE(refused->refusal.remedy, "");
    EXPECT_EQ(refused->in_projection, in_projection);
    EXPECT_NE(hostd.audit_log().find("refused"), std::string::npos);
  }
  // The plan with its digest made right again after a change.
  static std::string changed(std::string text, const std::string& from, const std::string& to) {
    text.replace(text.find(from), from.size(), to);
    return ended(text.substr(0, text.rfind("end ")));
  }

  HostdProcess hostd;
  std::string projection, plan;
};

TEST_F(Refusal, OfATruncatedPlan) {
  expect_refused(hostd.submit(plan.substr(0, plan.size() / 2), projection), Rule::kForm, "");
  expect_refused(hostd.submit("", projection), Rule::kForm, "");
}

TEST_F(Refusal, OfAPlanWithAWrongDigest) {
  std::string wrong = plan;
  wrong[wrong.size() - 2] = wrong[wrong.size() - 2] == '0' ? '1' : '0';
  expect_refused(hostd.submit(wrong, projection), Rule::kForm, "");
}

TEST_F(Refusal, OfAPlanInAnotherSpelling) {
  expect_refused(hostd.submit(changed(plan, "slot=3", "slot=03"), projection), Rule::kForm, "");
  expect_refused(hostd.submit(changed(plan, "+ bridge", "+  bridge"), projection), Rule::kForm, "");
}

TEST_F(Refusal, OfAProjectionThatNoCoordinatorSigned) {
  Signature wrong = Key().sign(projection);
  wrong[0] ^= 1;
  expect_refused(hostd.submit(plan, projection, wrong), Rule::kAuthority, "no coordinator", true);
  expect_refused(hostd.submit(plan, projection, Key(1).sign(projection)), Rule::kAuthority, "no coordinator", true);
  const std::string other = projection_text(1, 21);
  expect_refused(hostd.submit(plan, other, Key().sign(projection)), Rule::kAuthority, "no coordinator", true);
}

TEST_F(Refusal, OfASignedProjectionThatIsNone) {
  const std::string text = "mvm-projection 1\nnode node-7\n";
  expect_refused(hostd.submit(plan, text), Rule::kForm, "", true);
}

TEST_F(Refusal, OfAPlanForAnotherNode) {
  std::string other = projection;
  other.replace(other.find("node-7"), 6, "node-8");
  other = ended(other.substr(0, other.rfind("end ")));
  const std::string for_other = changed(changed(plan, "node-7", "node-8"), plan.substr(plan.find("desired "), 79),
                                        "desired " + to_string(lang::text_digest(parsed(lang::Kind::kProjection, other))));
  expect_refused(hostd.submit(for_other, other), Rule::kFreshness, "node");
}

TEST_F(Refusal, OfAStaleBase) {
  const std::string stale = changed(plan, plan.substr(plan.find("base "), 76), "base sha256:" + std::string(64, '0'));
  expect_refused(hostd.submit(stale, projection), Rule::kFreshness, "");
}

TEST_F(Refusal, OfAnOlderGeneration) {
  ASSERT_TRUE(hostd.reach({}, 5).last);  // a plan of nothing, but of generation 5
  const std::string older = projection_text(4);
  expect_refused(hostd.submit(plan_text(hostd.state(), running_lines(1, 1), older), older), Rule::kFreshness, "");
  // TearDown() looks for a host that was never touched.
  hostd.kill_it();
  std::filesystem::remove_all(hostd.prefix() + "/state");
  ASSERT_TRUE(hostd.start());
}

TEST_F(Refusal, OfWhatTheProjectionDoesNotCover) {
  const std::string less = projection_text(1, 0);
  expect_refused(hostd.submit(plan_text(empty_state(), running_lines(1, 1), less), less), Rule::kAuthority, "");
}

TEST_F(Refusal, OfASlotClash) {
  std::string clash = plan_text(empty_state(), running_lines(2, 0), projection);
  clash = changed(clash, "slot=4", "slot=3");
  expect_refused(hostd.submit(clash, projection), Rule::kInvariant, "slot");
}

TEST_F(Refusal, OfAStatementThatNoWorkerOfThisHostRuns) {
  std::string wanted = projection_text();
  wanted.replace(wanted.find("config=none"), 11, "config=" + kImage);
  wanted = ended(wanted.substr(0, wanted.rfind("end ")));
  auto lines = running_lines(1, 0);
  auto config = lines[2];
  config.word = lang::Word::kConfig;
  config.numbers = {1};
  config.digests[0] = *parse_digest(kImage);
  lines.insert(lines.begin() + 3, config);
  const Reply reply = hostd.submit(plan_text(empty_state(), lines, wanted), wanted);
  expect_refused(reply, Rule::kPolicy, "not supported by this host: it has no worker `storage`");
  EXPECT_NE(std::get<wire::Refused>(*reply.last).refusal.line, 0u);
  EXPECT_NE(std::get<wire::Refused>(*reply.last).refusal.statement.find("+ config acme/workers/i-00000001"), std::string::npos);
}

// ---- below the client

struct Raw {
  explicit Raw(const std::string& path) : socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.c_str(), path.size());
    connected = connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  }
  void send(std::vector<std::uint8_t> bytes, const std::vector<int>& descriptors) {
    iovec part{bytes.data(), bytes.size()};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(8 * sizeof(int))> control{};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (!descriptors.empty()) {
      message.msg_control = control.data();
      message.msg_controllen = CMSG_SPACE(descriptors.size() * sizeof(int));
      cmsghdr* header = CMSG_FIRSTHDR(&message);
      *header = {CMSG_LEN(descriptors.size() * sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
      std::memcpy(CMSG_DATA(header), descriptors.data(), descriptors.size() * sizeof(int));
    }
    sendmsg(socket.get(), &message, MSG_NOSIGNAL);
  }
  // What comes back; nothing where the other end has closed.
  std::optional<wire::Event> receive() {
    std::vector<std::uint8_t> bytes(wire::kMaxEvent);
    pollfd waited{socket.get(), POLLIN, 0};
    if (poll(&waited, 1, 5000) != 1) {
      ADD_FAILURE() << "neither an answer nor an end";
      return std::nullopt;
    }
    const ssize_t got = recv(socket.get(), bytes.data(), bytes.size(), 0);
    if (got <= 0) return std::nullopt;
    auto event = wire::decode_event(std::span(bytes).first(static_cast<std::size_t>(got)));
    return event ? std::optional(*event) : std::nullopt;
  }
  Fd socket;
  bool connected = false;
};

std::vector<std::uint8_t> submit_bytes(const std::string& projection) {
  return wire::encode(wire::Request(wire::Submit{wire::Mode::kApply, Key().sign(projection), {}}));
}

void expect_failed(std::optional<wire::Event> event, Errc code) {
  ASSERT_TRUE(event);
  const auto* failed = std::get_if<wire::Failed>(&*event);
  ASSERT_NE(failed, nullptr) << event->index();
  EXPECT_EQ(failed->error.code, code) << failed->error.message();
}

TEST_F(Refusal, OfAMemfdThatIsNotSealed) {
  const Fd loose(memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  ASSERT_EQ(write(loose.get(), plan.data(), plan.size()), static_cast<ssize_t>(plan.size()));
  const auto sealed = make_sealed(projection);
  Raw first(hostd.socket());
  first.send(submit_bytes(projection), {loose.get(), sealed->get()});
  expect_failed(first.receive(), Errc::kDenied);
  Raw second(hostd.socket());
  second.send(submit_bytes(projection), {make_sealed(plan)->get(), loose.get()});
  expect_failed(second.receive(), Errc::kDenied);
}

TEST_F(Refusal, OfATextOverItsLimit) {
  const auto huge = make_sealed(std::string(lang::kMaxTextBytes + 1, 'x')), most = make_sealed(std::string(lang::kMaxTextBytes, 'x'));
  const auto sealed = make_sealed(projection);
  Raw above(hostd.socket());
  above.send(submit_bytes(projection), {huge->get(), sealed->get()});
  expect_failed(above.receive(), Errc::kLimit);
  Raw at(hostd.socket());
  at.send(submit_bytes(projection), {most->get(), sealed->get()});
  const auto event = at.receive();
  ASSERT_TRUE(event);
  EXPECT_NE(std::get_if<wire::Refused>(&*event), nullptr) << "at the limit it is gate that says it is no plan";
}

TEST_F(Refusal, OfSealedKeysThatNobodyHereOpens) {
  const auto first = make_sealed(plan), second = make_sealed(projection);
  Raw raw(hostd.socket());
  raw.send(wire::encode(wire::Request(wire::Submit{wire::Mode::kApply, Key().sign(projection), {1, 2, 3}})), {first->get(), second->get()});
  expect_failed(raw.receive(), Errc::kUnsupported);
}

TEST_F(Refusal, OfAnotherNumberOfDescriptors) {
  const auto sealed = make_sealed(plan);
  for (const std::size_t count : {0u, 1u, 3u, 4u, 8u}) {
    Raw raw(hostd.socket());
    raw.send(submit_bytes(projection), std::vector<int>(count, sealed->get()));
    EXPECT_FALSE(raw.receive()) << count;
  }
  Raw raw(hostd.socket());
  raw.send(wire::encode(wire::Request(wire::AskState{})), {sealed->get()});
  EXPECT_FALSE(raw.receive()) << "a request that takes none";
}

TEST_F(Refusal, OfHalfAMessageAnEmptyOneAndOneOfNoise) {
  const auto first = make_sealed(plan), second = make_sealed(projection);
  auto half = submit_bytes(projection);
  half.resize(half.size() / 2);
  for (const auto& bytes : {half, std::vector<std::uint8_t>(100, 0xff), std::vector<std::uint8_t>(wire::kMaxRequest + 1, 0)}) {
    Raw raw(hostd.socket());
    raw.send(bytes, {first->get(), second->get()});
    EXPECT_FALSE(raw.receive());
  }
}

TEST_F(Refusal, OfAWatcherThatHasMoreToSay) {
  Raw raw(hostd.socket());
  raw.send(wire::encode(wire::Request(wire::Watch{})), {});
  EXPECT_TRUE(raw.receive());
  raw.send(wire::encode(wire::Request(wire::AskState{})), {});
  EXPECT_FALSE(raw.receive());
}

TEST_F(Refusal, OfMoreConnectionsThanItKeeps) {
  std::vector<Raw> held;
  for (int i = 0; i < 1000; ++i) held.emplace_back(hostd.socket());
  int open = 0;
  usleep(200'000);
  for (Raw& raw : held) {
    pollfd waited{raw.socket.get(), POLLIN, 0};
    open += poll(&waited, 1, 0) == 0;
  }
  EXPECT_EQ(open, 16);
  held.clear();
  usleep(50'000);
}

TEST_F(Refusal, LeavesNoDescriptorBehind) {
  const auto count = [&] {
    const std::filesystem::path fds = "/proc/" + std::to_string(hostd.pid()) + "/fd";
    return std::distance(std::filesystem::directory_iterator(fds), {});
  };
  static_cast<void>(hostd.submit(plan, projection, wire::Mode::kCheck));
  usleep(50'000);
  const auto before = count();
  const auto sealed = make_sealed(plan);
  for (int i = 0; i < 20; ++i) {
    Raw raw(hostd.socket());
    raw.send(submit_bytes(projection), {sealed->get(), sealed->get(), sealed->get()});
    static_cast<void>(raw.receive());
    static_cast<void>(hostd.submit(plan, projection, wire::Mode::kCheck));
    static_cast<void>(hostd.state());
  }
  usleep(50'000);
  EXPECT_EQ(count(), before);
}

TEST(RefusalOfAnyone, ButTheAgentsUid) {
  HostdProcess hostd;
  hostd.agent_user = "nobody";
  ASSERT_TRUE(hostd.start()) << hostd.errors();
  // root may connect, for no mode of a socket keeps it out; it is not answered.
  Raw root(hostd.socket());
  root.send(wire::encode(wire::Request(wire::AskState{})), {});
  EXPECT_FALSE(root.receive());
  const pid_t agent = fork();
  if (agent == 0) {
    if (setgid(65534) != 0 || setuid(65534) != 0) _exit(2);
    Raw raw(hostd.socket());
    raw.send(wire::encode(wire::Request(wire::AskState{})), {});
    _exit(raw.connected && raw.receive() ? 0 : 1);
  }
  int status = 0;
  waitpid(agent, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 0) << "the agent itself is";
  const pid_t stranger = fork();
  if (stranger == 0) {
    if (setgid(1) != 0 || setuid(1) != 0) _exit(2);
    _exit(Raw(hostd.socket()).connected ? 1 : 0);
  }
  waitpid(stranger, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 0) << "and anyone else does not even reach the socket";
}

TEST(RefusalToStart, OnWhatOthersMayWrite) {
  HostdProcess hostd;
  chmod((hostd.prefix() + "/node.policy").c_str(), 0666);
  EXPECT_FALSE(hostd.start());
  EXPECT_NE(hostd.errors().find("root alone may write"), std::string::npos) << hostd.errors();
  chmod((hostd.prefix() + "/node.policy").c_str(), 0644);
  std::filesystem::create_directory(hostd.prefix() + "/state");
  ASSERT_EQ(chown((hostd.prefix() + "/state").c_str(), 65534, 65534), 0);
  EXPECT_FALSE(hostd.start());
  EXPECT_NE(hostd.errors().find("someone else's"), std::string::npos) << hostd.errors();
}

TEST(RefusalToStart, WithoutAPolicyThatHolds) {
  HostdProcess hostd;
  hostd.put(hostd.prefix() + "/node.policy", "mvm-policy 1\nnode node-7\nend\n");
  EXPECT_FALSE(hostd.start());
  EXPECT_TRUE(WIFEXITED(hostd.status));
  EXPECT_NE(hostd.errors().find("policy"), std::string::npos) << hostd.errors();
  hostd.put(hostd.prefix() + "/node.policy", "# written by hand\n\n" + policy_text());
  EXPECT_TRUE(hostd.start()) << "comments are people's: " << hostd.errors();
}

TEST(RefusalToStart, BesideAnotherHostdOfTheSameState) {
  HostdProcess hostd;
  ASSERT_TRUE(hostd.start());
  const std::string command = std::string(MVM_HOSTD) + " " + hostd.prefix() + " " + MVM_GATE + " " + MVM_FAKE_WORKER + " daemon root boot-1 2>/dev/null";
  const int status = std::system(command.c_str());
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 70);
  EXPECT_EQ(hostd.state(), empty_state()) << "the first still serves";
}

}  // namespace
}  // namespace mvm::test
