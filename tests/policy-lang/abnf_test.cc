// GRAMMAR.abnf, the parser and the table say the same: sentences drawn from the page are parsed, texts that were printed
// are matched by the page, and where the page takes what the parser does not, it is for a reason that ABNF cannot tell.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <tao/pegtl/contrib/analyze.hpp>

#include "policy-lang/grammar.h"
#include "policy-lang/parse.h"
#include "policy-lang/print.h"
#include "tests/policy-lang/abnf.h"
#include "tests/policy-lang/forms.h"
#include "tests/policy-lang/mend.h"

namespace mvm::lang {
namespace {

const abnf::Grammar& page() {
  static const abnf::Grammar grammar([] {
    std::ifstream in(MVM_SOURCE_DIR "/policy-lang/GRAMMAR.abnf");
    return std::string(std::istreambuf_iterator<char>(in), {});
  }());
  return grammar;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

TEST(Abnf, DrawsSentencesThatTheParserTakes) {
  test::Random random(test::test_seed());
  for (const Kind kind : kKinds) {
    std::size_t statements = 0;
    for (int i = 0; i < 500; ++i) {
      const std::string text = test::mend(kind, page().draw(to_string(kind), random, 12));
      ASSERT_TRUE(page().matches(to_string(kind), text)) << text;
      const auto parsed = parse(kind, text);
      ASSERT_TRUE(parsed) << parsed.error().message() << "\n" << text;
      ASSERT_EQ(print(*parsed), kind == Kind::kPolicy ? strip_comments(text) : text);
      statements += parsed->statements.size();
    }
    EXPECT_GT(statements, 1000u) << "too few statements were drawn to mean anything";
  }
}

TEST(Abnf, MatchesWhatIsPrinted) {
  test::Random random(test::test_seed());
  for (const Kind kind : kKinds) {
    for (int i = 0; i < 300; ++i) {
      const std::string text = print(test::random_document(kind, test::below(20, random), random));
      ASSERT_TRUE(page().matches(to_string(kind), text)) << text;
    }
  }
}

TEST(Abnf, MatchesEveryStatementAtItsBounds) {
  for (const Row& row : table()) {
    for (const test::Bound bound : {test::Bound::kMin, test::Bound::kMax}) {
      if (row.word == Word::kGuest) continue;  // has no line of its own
      EXPECT_TRUE(page().matches(row.name, print(test::at_bound(row.word, Sign::kNone, bound)))) << row.name;
      for (const Sign sign : {Sign::kAdd, Sign::kRemove, Sign::kMove}) {
        if (!has_sign(row.signs, sign)) continue;
        EXPECT_TRUE(page().matches("step", print(test::at_bound(row.word, sign, bound)))) << row.name;
      }
    }
  }
}

// What ABNF cannot tell; each of these stands in a comment of the page, behind "and".
bool is_beyond_abnf(const std::string& why) {
  for (const char* reason : {"out of its range", "does not end with '-'", "host bits", "canonical order", "stands twice",
                             "not the digest of the text above", "longer than"}) {
    if (why.find(reason) != std::string::npos) return true;
  }
  return false;
}

// One byte of the text changed, dropped, doubled or swapped with the next; or a word or line.
std::string mutate(std::string text, test::Random& random) {
  const std::size_t at = test::below(text.size(), random);
  const auto token = [&](char separator) {
    const std::size_t begin = text.rfind(separator, at), end = text.find(separator, at);
    return std::pair(begin == std::string::npos ? 0 : begin, (end == std::string::npos ? text.size() : end));
  };
  switch (test::below(8, random)) {
    case 0: text[at] = static_cast<char>(random()); break;
    case 1: text[at] = text[test::below(text.size(), random)]; break;
    case 2: text.erase(at, 1); break;
    case 3: text.insert(at, 1, text[at]); break;
    case 4: text.insert(at, 1, "0 \n9a-=/#>"[test::below(10, random)]); break;
    case 5: {
      const auto [begin, end] = token(' ');
      text.erase(begin, end - begin);
      break;
    }
    case 6: {
      const auto [begin, end] = token('\n');
      text.insert(begin, text.substr(begin, end - begin));
      break;
    }
    default: text.resize(at);
  }
  return text;
}

TEST(Abnf, TakesEveryMutationThatTheParserTakesAndTheParserRefusesTheOthersForWhatAbnfCannotTell) {
  test::Random random(test::test_seed());
  std::size_t taken = 0, refused = 0, beyond = 0;
  for (const Kind kind : kKinds) {
    for (int i = 0; i < 3000; ++i) {
      std::string text = mutate(print(test::random_document(kind, 1 + test::below(3, random), random)), random);
      if (kind != Kind::kPolicy && test::below(4, random) != 0) text = test::mend_end(text);
      const auto parsed = parse(kind, text);
      const bool matched = page().matches(to_string(kind), text);
      if (parsed) {
        ++taken;
        ASSERT_TRUE(matched) << "the parser takes what the page does not:\n" << text;
      } else if (matched) {
        ++beyond;
        ASSERT_TRUE(is_beyond_abnf(parsed.error().why)) << parsed.error().message() << "\n" << text;
      } else {
        ++refused;
      }
    }
  }
  EXPECT_GT(taken, 300u);
  EXPECT_GT(refused, 1000u);
  EXPECT_GT(beyond, 300u);
}

TEST(Abnf, HasARuleForEveryRowOfTheTableWithItsFieldsInTheirOrder) {
  for (const Row& row : table()) {
    ASSERT_NE(page().find(row.name), nullptr) << row.name;
    std::vector<std::string> fields;
    for (const std::string& text : page().texts_in(row.name)) {
      if (text.starts_with(' ') && text.ends_with('=')) fields.push_back(text.substr(1, text.size() - 2));
    }
    std::vector<std::string> in_table;
    for (const Field& field : row.fields) in_table.emplace_back(field.name);
    EXPECT_EQ(fields, in_table) << row.name;
    EXPECT_TRUE(page().texts_in(row.name).front().starts_with(row.name)) << "words are spelled exactly";
  }
}

TEST(Abnf, NamesInEachKindOfTextTheWordsThatMayStandInIt) {
  const auto words = [](Kind kind) {
    std::vector<std::string> names;
    for (const Row& row : table()) {
      if (row.in[static_cast<std::size_t>(kind)]) names.push_back(lower(row.name));
    }
    return names;
  };
  EXPECT_EQ(page().rules_in("setting"), words(Kind::kPolicy));
  EXPECT_EQ(page().rules_in("desire"), words(Kind::kProjection));
  EXPECT_EQ(page().rules_in("primitive"), words(Kind::kState));
  EXPECT_EQ(page().rules_in("part"), words(Kind::kManifest));
}

TEST(Abnf, GivesEachNumberTheDigitsAndTheRangeOfTheTable) {
  for (const Row& row : table()) {
    std::string lines = page().lines_of(row.name);
    std::ranges::replace(lines, '\n', ' ');
    for (const Field& field : row.fields) {
      if (field.kind != FieldKind::kNumber) continue;
      const std::string name(field.name), digits = std::to_string(std::to_string(field.max).size());
      EXPECT_THAT(lines, ::testing::HasSubstr("%s\" " + name + "=\" n" + digits + " ")) << row.name;
      EXPECT_THAT(lines, ::testing::HasSubstr(" " + name + " " + std::to_string(field.min) + "-" + std::to_string(field.max))) << row.name;
    }
  }
}

TEST(Abnf, SaysTheLimitsOfAText) {
  std::ifstream in(MVM_SOURCE_DIR "/policy-lang/GRAMMAR.abnf");
  const std::string text(std::istreambuf_iterator<char>(in), {});
  EXPECT_THAT(text, ::testing::HasSubstr("; and at most " + std::to_string(kMaxTextBytes) + " bytes, " + std::to_string(kMaxStatements) +
                                         " statements, " + std::to_string(kMaxLineBytes) + " bytes a line"));
  EXPECT_THAT(text, ::testing::HasSubstr("0-" + std::to_string(kMaxGeneration)));
}

TEST(Grammar, HasNoLoopWithoutProgress) {
  EXPECT_EQ(tao::pegtl::analyze<grammar::projection>(1), 0u);
  EXPECT_EQ(tao::pegtl::analyze<grammar::state>(1), 0u);
  EXPECT_EQ(tao::pegtl::analyze<grammar::plan>(1), 0u);
  EXPECT_EQ(tao::pegtl::analyze<grammar::policy>(1), 0u);
  EXPECT_EQ(tao::pegtl::analyze<grammar::manifest>(1), 0u);
}

}  // namespace
}  // namespace mvm::lang
