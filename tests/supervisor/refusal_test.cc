// Bad input: each is answered by a clear error or by nothing but the end of the connection, and nothing is changed. Of a hostd
// of the tests' build with doubles (refusal_test), and of the one that systemd runs on a node (node_refusal_test).
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/sealed.h"
#include MVM_HOSTD_UNDER_TEST

namespace mvm::test {
namespace {

using lang::Rule;

class Refusal : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(hostd.start()) << hostd.errors();
    hostd.act_as_agent();
    before = hostd.state();
    ASSERT_TRUE(before.statements.empty());
    generation = before.header.generation + 1;
    write_texts(generation);
  }
  void write_texts(std::uint64_t of) {
    projection = projection_text(of);
    plan = plan_text(before, running_lines(1, 1), projection);
  }
  // Nothing stands, nothing is noted as the last plan, and it still serves.
  void TearDown() override {
    EXPECT_FALSE(hostd.gone()) << hostd.errors();
    EXPECT_EQ(hostd.state(), before);
    const Reply checked = hostd.submit(plan, projection, wire::Mode::kCheck);
    EXPECT_TRUE(checked.last && std::holds_alternative<wire::Accepted>(*checked.last));
    EXPECT_THAT(hostd.things(), testing::IsEmpty());
    hostd.act_as_root();
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

  static std::string with(std::string text, const std::string& from, const std::string& to) {
    for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) text.replace(at, from.size(), to);
    return text;
  }
  // The projection and its plan, with `from` written as `to` in both.
  void rename(const std::string& from, const std::string& to) {
    const std::string was = "desired " + to_string(lang::text_digest(parsed(lang::Kind::kProjection, projection)));
    const std::string above = with(projection.substr(0, projection.rfind("end ")), from, to);
    projection = ended(above);
    plan = ended(with(with(plan.substr(0, plan.rfind("end ")), from, to), was, "desired " + to_string(sha256(above))));
  }

  HostdUnderTest hostd;
  lang::Document before;
  std::uint64_t generation = 0;
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
  expect_refused(hostd.submit(plan, projection, Key(2).sign(projection)), Rule::kAuthority, "no coordinator", true);  // who seals keys
  const std::string other = projection_text(generation, 21);
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
  ASSERT_TRUE(hostd.reach({}, generation + 4).last);  // a plan of nothing
  before = hostd.state();
  const std::string older = projection_text(generation + 3);
  expect_refused(hostd.submit(plan_text(before, running_lines(1, 1), older), older), Rule::kFreshness, "has been applied");
  write_texts(generation + 4);
}

TEST_F(Refusal, OfWhatTheProjectionDoesNotCover) {
  const std::string less = projection_text(generation, 0);
  expect_refused(hostd.submit(plan_text(before, running_lines(1, 1), less), less), Rule::kAuthority, "");
}

TEST_F(Refusal, OfMoreRunningInstancesThanThePoolWants) {
  expect_refused(hostd.submit(plan_text(before, running_lines(21, 0), projection), projection), Rule::kAuthority, "the projection allows 20");
}

TEST_F(Refusal, OfAProjectionThatAsksForMoreThanItsQuota) {
  const std::string wanted = changed(projection, "vcpus=400", "vcpus=40");
  expect_refused(hostd.submit(plan_text(before, running_lines(1, 0), wanted), wanted), Rule::kPolicy, "its quota is 40", true);
}

TEST_F(Refusal, OfMoreThanThePolicyAllows) {
  expect_refused(hostd.submit(changed(plan, "pids=64", "pids=4096"), projection), Rule::kPolicy, "pids=4096 is above the policy's");
}

TEST_F(Refusal, OfOneTenantsStatementWithTheKeyOfAnother) {
  const std::string both = changed(plan, "+ tap acme", "+ volume acme/workers/i-00000001 mib=64 key=beta/1\n+ tap acme");
  expect_refused(hostd.submit(both, projection), Rule::kInvariant, "the key belongs to tenant beta");
}

TEST_F(Refusal, OfASubnetThatOverlapsAnothers) {
  expect_refused(hostd.submit(changed(plan, "10.240.4.0/24", "10.240.3.128/25"), projection), Rule::kInvariant, "overlaps");
}

TEST_F(Refusal, OfANameOverItsLimitButNotAtIt) {
  const std::string most(kMaxName, 'a');
  rename("acme", most);
  const Reply at = hostd.submit(plan, projection, wire::Mode::kCheck);
  EXPECT_TRUE(at.last && std::holds_alternative<wire::Accepted>(*at.last));
  rename(most, most + 'a');
  expect_refused(hostd.submit(plan, projection), Rule::kForm, "no name of a tenant", true);
  write_texts(generation);
}

TEST_F(Refusal, OfAnInstanceIdThatIsLonger) {
  expect_refused(hostd.submit(changed(plan, "i-00000001", "i-000000011"), projection), Rule::kForm, "");
}

TEST_F(Refusal, OfASlotClash) {
  std::string clash = plan_text(before, running_lines(2, 0), projection);
  clash = changed(clash, "slot=4", "slot=3");
  expect_refused(hostd.submit(clash, projection), Rule::kInvariant, "slot");
}

TEST_F(Refusal, OfASnapshotThatThisHostDoesNotTake) {
  const std::string wanted = ended(with(projection.substr(0, projection.rfind("end ")), "sleeping=0", "sleeping=5"));
  auto pauses = parsed(lang::Kind::kPlan, plan_text(before, running_lines(1, 0), wanted));
  lang::Statement pause;
  pause.sign = lang::Sign::kMove;
  pause.word = lang::Word::kJail;
  pause.subject = running_lines(1, 0)[2].subject;
  pause.numbers = {lang::kRunning, lang::kWarm};
  pauses.statements.push_back(pause);
  lang::Statement snapshot;
  snapshot.sign = lang::Sign::kAdd;
  snapshot.word = lang::Word::kSnapshot;
  snapshot.subject = pause.subject;
  snapshot.key_tenant = pause.subject.tenant;
  snapshot.numbers = {lang::kFull, 0, 0, 0, 3, 1};
  pauses.statements.push_back(snapshot);
  const Reply reply = hostd.submit(lang::print(pauses), wanted);
  // Where the node's policy wants snapshots encrypted, that is said first.
  expect_refused(reply, Rule::kPolicy, " key");
  EXPECT_NE(std::get<wire::Refused>(*reply.last).refusal.line, 0u);
  EXPECT_NE(std::get<wire::Refused>(*reply.last).refusal.statement.find("+ snapshot acme/workers/i-00000001"), std::string::npos);
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
  return wire::encode(wire::Request(wire::Submit{wire::Mode::kApply, Key().sign(projection)}));
}

const Fd no_keys = make_sealed("").value();

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
  first.send(submit_bytes(projection), {loose.get(), sealed->get(), no_keys.get()});
  expect_failed(first.receive(), Errc::kDenied);
  Raw second(hostd.socket());
  second.send(submit_bytes(projection), {make_sealed(plan)->get(), loose.get(), no_keys.get()});
  expect_failed(second.receive(), Errc::kDenied);
  Raw third(hostd.socket());
  third.send(submit_bytes(projection), {make_sealed(plan)->get(), sealed->get(), loose.get()});
  expect_failed(third.receive(), Errc::kDenied);
}

TEST_F(Refusal, OfATextOverItsLimit) {
  const auto huge = make_sealed(std::string(lang::kMaxTextBytes + 1, 'x')), most = make_sealed(std::string(lang::kMaxTextBytes, 'x'));
  const auto sealed = make_sealed(projection);
  Raw above(hostd.socket());
  above.send(submit_bytes(projection), {huge->get(), sealed->get(), no_keys.get()});
  expect_failed(above.receive(), Errc::kLimit);
  Raw at(hostd.socket());
  at.send(submit_bytes(projection), {most->get(), sealed->get(), no_keys.get()});
  const auto event = at.receive();
  ASSERT_TRUE(event);
  EXPECT_NE(std::get_if<wire::Refused>(&*event), nullptr) << "at the limit it is gate that says it is no plan";
}

TEST_F(Refusal, OfKeysThatAreNoBundle) {
  const auto first = make_sealed(plan), second = make_sealed(projection), third = make_sealed("mvmkeys1");
  Raw raw(hostd.socket());
  raw.send(submit_bytes(projection), {first->get(), second->get(), third->get()});
  expect_failed(raw.receive(), Errc::kMalformed);
}

TEST_F(Refusal, OfAnotherNumberOfDescriptors) {
  const auto sealed = make_sealed(plan);
  for (const std::size_t count : {0u, 1u, 2u, 4u, 5u, 8u}) {
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
    raw.send(bytes, {first->get(), second->get(), no_keys.get()});
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
  const auto open_ones = [&held] {
    return std::ranges::count_if(held, [](const Raw& raw) {
      pollfd waited{raw.socket.get(), POLLIN, 0};
      return poll(&waited, 1, 0) == 0;
    });
  };
  auto open = open_ones();
  for (int i = 0; i < 100 && open > 16; ++i) usleep(100'000), open = open_ones();
  EXPECT_EQ(open, 16);
  held.clear();
  usleep(50'000);
}

TEST_F(Refusal, LeavesNoDescriptorBehind) {
  static_cast<void>(hostd.submit(plan, projection, wire::Mode::kCheck));
  usleep(50'000);
  const auto held = hostd.descriptors();
  const auto sealed = make_sealed(plan);
  for (int i = 0; i < 20; ++i) {
    Raw raw(hostd.socket());
    raw.send(submit_bytes(projection), {sealed->get(), sealed->get(), sealed->get()});
    static_cast<void>(raw.receive());
    static_cast<void>(hostd.submit(plan, projection, wire::Mode::kCheck));
    static_cast<void>(hostd.state());
  }
  usleep(50'000);
  EXPECT_EQ(hostd.descriptors(), held);
}

TEST(RefusalOfAnyone, ButTheAgentsUid) {
  HostdUnderTest hostd;
  hostd.serve_someone_else();
  ASSERT_TRUE(hostd.start()) << hostd.errors();
  const auto [uid, gid] = hostd.agent();
  // root may connect, for no mode of a socket keeps it out; it is not answered.
  Raw root(hostd.socket());
  root.send(wire::encode(wire::Request(wire::AskState{})), {});
  EXPECT_FALSE(root.receive());
  const pid_t agent = fork();
  if (agent == 0) {
    if (setgid(gid) != 0 || setuid(uid) != 0) _exit(2);
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

}  // namespace
}  // namespace mvm::test
