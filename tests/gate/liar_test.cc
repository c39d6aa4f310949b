// Gates that lie: none gets a value past the supervisor's comparison, and none is asked a second time. Needs root.
#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <string>

#include "broker/supervisor/gate_client.h"
#include "tests/gate/gate_process.h"
#include "tests/gate/texts.h"

namespace mvm {
namespace {

using namespace std::chrono_literals;
using lang::Document;
using lang::Kind;
using supervisor::GateClient;

const test::Runnable& lying_gate() {
  static const test::Runnable executable(MVM_LYING_GATE);
  return executable;
}

struct Lie {
  const char* name;
  Errc code = Errc::kDenied;
  Document (*document)() = test::a_plan;
  std::string (*spelled)(const Document&) = [](const Document& honest) { return lang::print(honest); };
};

// The tap's slot, spelled with a leading zero.
std::string with_a_zero_more(const Document& document) {
  std::string text = lang::print(document);
  return text.insert(text.find("slot=") + 5, "0");
}

class LyingGate : public ::testing::TestWithParam<Lie> {};

TEST_P(LyingGate, GetsNothingPastTheComparison) {
  const std::array<std::string, 1> arguments = {GetParam().name};
  auto worker = test::start_gate(lying_gate(), grants::kGate, arguments);
  if (arguments[0] == "speaks-unasked") usleep(200'000);
  GateClient client(std::move(worker.channel));
  const Document document = GetParam().document();
  const auto said = client.parse(document.kind, GetParam().spelled(document), 300ms);
  ASSERT_FALSE(said.has_value());
  EXPECT_EQ(said.error().code, GetParam().code) << said.error().message();
  const auto again = client.parse(document.kind, lang::print(document), 300ms);
  ASSERT_FALSE(again.has_value());
  EXPECT_EQ(again.error().code, Errc::kClosed) << again.error().message();
  test::kill_and_wait(worker);
}

INSTANTIATE_TEST_SUITE_P(
    Gate, LyingGate,
    ::testing::Values(
        Lie{"swaps-a-slot"}, Lie{"adds-a-statement"}, Lie{"drops-a-statement"}, Lie{"drops-them-all"}, Lie{"swaps-two-statements"},
        Lie{"raises-a-quota", Errc::kDenied, test::a_projection}, Lie{"changes-an-image"}, Lie{"names-another-tenant"},
        Lie{"turns-a-sign"}, Lie{"names-another-node"}, Lie{"raises-the-generation"}, Lie{"changes-the-base"},
        Lie{"adds-a-coordinator", Errc::kDenied, test::a_policy}, Lie{"answers-another-kind", Errc::kMalformed},
        Lie{"accepts-a-slot-out-of-bounds", Errc::kMalformed, test::with_a_slot_out_of_bounds},
        Lie{"accepts-what-is-out-of-order", Errc::kMalformed, test::out_of_order},
        Lie{"accepts-a-line-twice", Errc::kMalformed, test::with_a_line_twice},
        Lie{"accepts-a-tenant-twice", Errc::kMalformed, test::with_a_tenant_twice},
        Lie{"accepts-a-word-of-another-kind", Errc::kMalformed, test::with_a_word_of_another_kind},
        Lie{"accepts-another-spelling", Errc::kDenied, test::a_plan, with_a_zero_more},
        Lie{"refuses-by-a-rule-that-is-not-its-own", Errc::kMalformed}, Lie{"sends-garbage", Errc::kMalformed},
        Lie{"sends-zeros", Errc::kMalformed}, Lie{"sends-nothing-as-an-answer", Errc::kMalformed},
        Lie{"cuts-the-end-off", Errc::kMalformed}, Lie{"says-it-sends-too-much", Errc::kLimit},
        Lie{"says-it-sends-four-gigabytes", Errc::kLimit}, Lie{"dies-before-it-answers", Errc::kClosed},
        Lie{"dies-in-the-middle", Errc::kClosed}, Lie{"says-nothing", Errc::kTimeout}, Lie{"drips", Errc::kTimeout},
        Lie{"never-reads", Errc::kTimeout, test::the_largest_plan}, Lie{"speaks-unasked", Errc::kMalformed},
        Lie{"says-more-than-it-should", Errc::kMalformed}),
    [](const auto& test) {
      std::string name = test.param.name;
      std::ranges::replace(name, '-', '_');
      return name;
    });

// Wherever the bit lies, the answer is refused: by the verifier, by the decoder, or by the comparison.
TEST(LyingGateToo, GetsNoFlippedBitPastTheComparison) {
  const std::array<std::string, 1> arguments = {"flips-a-bit"};
  auto worker = test::start_gate(lying_gate(), grants::kGate, arguments);
  GateClient client(std::move(worker.channel));
  EXPECT_FALSE(client.parse(Kind::kPlan, lang::print(test::a_plan()), 300ms).has_value());
  test::kill_and_wait(worker);
}

// The same executable, telling the truth: so it is the lies that are refused above.
TEST(LyingGateToo, IsBelievedWhereItsAnswerPrintsAsTheText) {
  const std::array<std::string, 1> arguments = {"honest"};
  for (const Document& document : {test::a_plan(), test::a_state(), test::a_projection(), test::a_policy(), test::a_manifest()}) {
    auto worker = test::start_gate(lying_gate(), grants::kGate, arguments);
    GateClient client(std::move(worker.channel));
    const auto said = client.parse(document.kind, lang::print(document), 5000ms);
    ASSERT_TRUE(said.has_value()) << said.error().message();
    ASSERT_TRUE(said->has_value()) << said->error().message();
    EXPECT_EQ((**said).document(), document);
    EXPECT_EQ((**said).digest(), lang::text_digest(document));
    test::kill_and_wait(worker);
  }
}

}  // namespace
}  // namespace mvm
