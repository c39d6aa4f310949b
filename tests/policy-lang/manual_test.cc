#include "policy-lang/manual.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>

#include "policy-lang/actions.h"
#include "policy-lang/diff.h"
#include "policy-lang/parse.h"
#include "policy-lang/print.h"
#include "policy-lang/verify.h"
#include "tests/policy-lang/forms.h"

namespace mvm::lang {
namespace {

using ::testing::HasSubstr;

// The file in the tree is what the function makes. With MVM_UPDATE_GENERATED set, it is written instead.
void expect_file_is(const std::string& path, const std::string& made) {
  const std::string full = std::string(MVM_SOURCE_DIR) + "/" + path;
  if (std::getenv("MVM_UPDATE_GENERATED") != nullptr) std::ofstream(full, std::ios::binary) << made;
  std::ifstream in(full, std::ios::binary);
  const std::string found(std::istreambuf_iterator<char>(in), {});
  EXPECT_EQ(found, made) << path << " is not what the table says; run manual_test with MVM_UPDATE_GENERATED=1 and read the difference";
}

TEST(Manual, IsWhatDocsPrimitivesSays) { expect_file_is("docs/primitives.md", manual_markdown()); }

TEST(Manual, GivesTheFuzzTargetsTheirDictionaries) {
  for (const Kind kind : kKinds) expect_file_is("fuzz/" + std::string(to_string(kind)) + "_fuzz.dict", fuzz_dictionary(kind));
}

TEST(Manual, NamesEveryWordAndEveryField) {
  const std::string text = manual_text(), json = manual_json(), markdown = manual_markdown();
  for (const Row& row : table()) {
    EXPECT_THAT(text, HasSubstr("\n" + std::string(row.name)));
    EXPECT_THAT(json, HasSubstr("{\"word\": \"" + std::string(row.name) + "\""));
    if (row.word >= kFirstPrimitive) {
      EXPECT_THAT(markdown, HasSubstr("| `" + std::string(row.name) + "` |"));
    }
    for (const Field& field : row.fields) {
      EXPECT_THAT(text, HasSubstr("    " + std::string(field.name) + "="));
      EXPECT_THAT(json, HasSubstr("{\"name\": \"" + std::string(field.name) + "\""));
      EXPECT_THAT(markdown, HasSubstr("| `" + std::string(field.name) + "` |"));
    }
  }
}

// Enough of RFC 8259 to see that brackets and quotes close.
TEST(Manual, WritesJsonThatCloses) {
  std::string open;
  bool in_text = false;
  const std::string json = manual_json();
  for (std::size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (in_text && c == '\\') ++i;
    else if (c == '"') in_text = !in_text;
    else if (in_text) ASSERT_GE(c, ' ');
    else if (c == '{' || c == '[') open += c;
    else if (c == '}' || c == ']') {
      ASSERT_FALSE(open.empty());
      ASSERT_EQ(open.back(), c == '}' ? '{' : '[') << i;
      open.pop_back();
    }
  }
  EXPECT_TRUE(open.empty());
  EXPECT_FALSE(in_text);
}

Document must_parse(Kind kind, const std::string& text) {
  auto parsed = parse(kind, text);
  EXPECT_TRUE(parsed) << parsed.error().message() << "\n" << text;
  return parsed ? *parsed : Document{};
}

TEST(Manual, ShowsActionsThatVerifyAndApplyOneAfterTheOther) {
  const std::string digit5(64, '5'), digit7(64, '7'), digit8(64, '8'), key(64, '1');
  const Document policy = must_parse(Kind::kPolicy,
                                     "mvm-policy 1\nnode node-7\ncidr subnet=10.240.0.0/12\nuids first=1000000 count=1048576\n"
                                     "limits tenants=4 instances=16 vcpus=16 mem=16384 disk=65536\ninstance pids=64 io=0 pps=0 mbps=0\n"
                                     "encrypt data=yes snapshots=yes\ncoordinator key=ed25519:" + key + "\nend\n");
  const Document projection = must_parse(
      Kind::kProjection,
      test::with_end("mvm-projection 1\nnode node-7\ngeneration 42\ntenant acme net=3 subnet=10.240.3.0/24 vcpus=16 mem=32768 running=8 "
                     "warm=4 pools=10 instances=32 disk=65536 secrets=sha256:" + digit7 +
                     "\nrule acme egress=nat pps=0 mbps=0 cps=0\npool acme/workers image=sha256:" + digit5 +
                     " vcpus=2 mem=1024 data=2048 running=1 warm=0 sleeping=1 pinned=no critical=no compression=zstd config=sha256:" + digit8 + "\n"));
  Document state = must_parse(Kind::kState, test::with_end("mvm-state 1\nnode node-7\ngeneration 0\ndesired none\n"));
  for (const Action& action : actions()) {
    const Document plan = must_parse(Kind::kPlan, test::with_end("mvm-plan 1\nnode node-7\ngeneration 42\ndesired " + to_string(text_digest(projection)) +
                                                                 "\nbase " + to_string(text_digest(state)) + "\n" + std::string(action.lines)));
    const auto verified = verify(plan, {state, projection, policy});
    ASSERT_TRUE(verified) << action.name << ": " << verified.error().message();
    const auto after = apply(state, plan);
    ASSERT_TRUE(after) << action.name;
    EXPECT_EQ(*after, verified->after()) << action.name;
    state = *after;
  }
  EXPECT_EQ(state.statements.size(), 4u) << "bridge, rule, base and volume are left";
}

}  // namespace
}  // namespace mvm::lang
