// The real gate, in its sandbox. Needs root.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sysexits.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <type_traits>

#include "broker/supervisor/gate_client.h"
#include "broker/supervisor/images.h"
#include "schemas/plan.h"
#include "tests/gate/gate_process.h"
#include "tests/gate/texts.h"

namespace mvm {
namespace {

using lang::Document;
using lang::Kind;
using supervisor::Canonical;
using supervisor::GateClient;
using ::testing::HasSubstr;

static_assert(!std::is_default_constructible_v<Canonical> && !std::is_constructible_v<Canonical, Document> &&
                  !std::is_constructible_v<Canonical, Document, Digest>,
              "only GateClient makes what counts as checked");

const test::Runnable& real_gate() {
  static const test::Runnable executable(MVM_GATE);
  return executable;
}

class Gate : public ::testing::Test {
 protected:
  sandbox::Worker worker_ = test::start_gate(real_gate(), grants::kGate);
  GateClient client_{std::move(worker_.channel)};

  void TearDown() override { test::kill_and_wait(worker_); }
};

TEST_F(Gate, ParsesEveryKindOfText) {
  for (const Document& document : {test::a_plan(), test::a_state(), test::a_projection(), test::a_policy(), test::a_manifest()}) {
    const auto said = client_.parse(document.kind, lang::print(document));
    ASSERT_TRUE(said.has_value()) << said.error().message();
    ASSERT_TRUE(said->has_value()) << said->error().message();
    EXPECT_EQ((**said).document(), document);
    EXPECT_EQ((**said).digest(), lang::text_digest(document));
  }
}

TEST_F(Gate, TakesAPolicyWithTheCommentsOfItsAuthor) {
  const std::string text = "# ours\n\n" + lang::print(test::a_policy());
  const auto said = client_.parse(Kind::kPolicy, text);
  ASSERT_TRUE(said.has_value() && said->has_value());
  EXPECT_EQ((**said).document(), test::a_policy());
}

// hostd asks it for the manifests of images, whose files anybody may have written who could import them.
TEST_F(Gate, RefusesAnImagesManifestThatIsNoneAndThatImageAlone) {
  char directory[] = "/tmp/mvm-gate-test-XXXXXX";
  ASSERT_NE(mkdtemp(directory), nullptr);
  Document plan{Kind::kPlan, {}, {}};
  const std::string good = lang::print(test::a_manifest()), other = "mvm-manifest 1\n", cut = good.substr(0, good.size() - 1);
  for (const std::string& text : {good, other, cut}) {
    lang::Statement jail;
    jail.sign = lang::Sign::kAdd;
    jail.word = lang::Word::kJail;
    jail.digests[0] = sha256(text);
    plan.statements.push_back(jail);
    const std::string image = std::string(directory) + "/" + to_hex(jail.digests[0].bytes);
    std::filesystem::create_directory(image);
    std::ofstream(image + "/manifest") << text;
  }
  const supervisor::Images images(Fd(open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)));
  const auto held = images.hold(plan, client_);
  std::filesystem::remove_all(directory);
  ASSERT_TRUE(held) << held.error().message();
  EXPECT_TRUE(held->at(sha256(good)));
  for (const std::string& text : {other, cut}) {
    ASSERT_FALSE(held->at(sha256(text)));
    EXPECT_EQ(held->at(sha256(text)).error().code, Errc::kCorrupt);
  }
}

TEST_F(Gate, SaysWhyATextIsRefusedAndGoesOn) {
  std::string text = lang::print(test::a_plan());
  text.insert(text.find("slot=") + 5, "0");
  const auto refused = client_.parse(Kind::kPlan, text);
  ASSERT_TRUE(refused.has_value()) << refused.error().message();
  ASSERT_FALSE(refused->has_value());
  EXPECT_EQ(refused->error().rule, lang::Rule::kForm);
  EXPECT_GT(refused->error().line, 0U);
  const auto taken = client_.parse(Kind::kPlan, lang::print(test::a_plan()));
  EXPECT_TRUE(taken.has_value() && taken->has_value());
}

TEST_F(Gate, ParsesTheLargestTextsInTheMemoryItHas) {
  const Document document = test::the_largest_plan();
  const std::string text = lang::print(document);
  for (int i = 0; i < 10; ++i) {
    const auto said = client_.parse(Kind::kPlan, text);
    ASSERT_TRUE(said.has_value()) << said.error().message();
    ASSERT_TRUE(said->has_value()) << said->error().message();
    EXPECT_EQ((**said).document().statements.size(), document.statements.size());
  }
}

TEST_F(Gate, SurvivesTheLargestTextsOfNothing) {
  for (const char fill : {'\0', 'a', '\n', '\xff', ' ', '+'}) {
    const auto said = client_.parse(Kind::kPlan, std::string(lang::kMaxTextBytes, fill));
    ASSERT_TRUE(said.has_value()) << said.error().message();
    EXPECT_FALSE(said->has_value());
  }
  const auto empty = client_.parse(Kind::kPlan, "");
  ASSERT_TRUE(empty.has_value());
  EXPECT_FALSE(empty->has_value());
}

TEST_F(Gate, IsNotAskedForATextThatIsTooLong) {
  const auto said = client_.parse(Kind::kPlan, std::string(lang::kMaxTextBytes + 1, 'a'));
  ASSERT_FALSE(said.has_value());
  EXPECT_EQ(said.error().code, Errc::kLimit);
  EXPECT_TRUE(client_.parse(Kind::kPlan, lang::print(test::a_plan())).has_value());
}

TEST_F(Gate, RunsWithoutAnyPrivilegeBehindItsFilter) {
  ASSERT_TRUE(client_.parse(Kind::kPlan, lang::print(test::a_plan())).has_value());  // it serves, so it has entered
  const std::string status = test::status_of(worker_);
  for (const char* line : {"Name:\tmvm-gate\n", "NoNewPrivs:\t1\n", "Seccomp:\t2\n", "Seccomp_filters:\t1\n", "Threads:\t1\n",
                           "CapPrm:\t0000000000000000\n", "CapBnd:\t0000000000000000\n", "CapAmb:\t0000000000000000\n",
                           "Uid:\t64999\t64999\t64999\t64999\n"}) {
    EXPECT_THAT(status, HasSubstr(line));
  }
}

TEST(GateProcess, EndsWhenItsChannelIsClosed) {
  auto worker = test::start_gate(real_gate(), grants::kGate);
  worker.channel.reset();
  EXPECT_EQ(test::ended(worker), EX_OK);
}

class BadRequest : public ::testing::TestWithParam<wire::GateRequest> {};

TEST_P(BadRequest, EndsGate) {
  auto worker = test::start_gate(real_gate(), grants::kGate);
  const wire::GateRequest request = GetParam();
  ASSERT_EQ(send(worker.channel.get(), &request, sizeof request, 0), static_cast<ssize_t>(sizeof request));
  EXPECT_EQ(test::ended(worker), EX_PROTOCOL);
}

INSTANTIATE_TEST_SUITE_P(GateProcess, BadRequest,
                         ::testing::Values(wire::GateRequest{lang::kKinds.size(), 10}, wire::GateRequest{0xffffffff, 10},
                                           wire::GateRequest{0, lang::kMaxTextBytes + 1}, wire::GateRequest{2, 0xffffffff}));

TEST(GateProcess, EndsAtHalfARequest) {
  auto worker = test::start_gate(real_gate(), grants::kGate);
  const wire::GateRequest request{2, 100};
  ASSERT_EQ(send(worker.channel.get(), &request, sizeof request, 0), static_cast<ssize_t>(sizeof request));
  shutdown(worker.channel.get(), SHUT_WR);
  EXPECT_EQ(test::ended(worker), EX_PROTOCOL);
}

}  // namespace
}  // namespace mvm
