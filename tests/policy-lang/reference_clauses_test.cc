// The clauses of the second verifier are those of docs/language.md, word for word.
#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "tests/policy-lang/reference_verifier.h"

namespace mvm::lang::reference {
namespace {

// The page with one space wherever it has white space.
std::string page() {
  std::ifstream file(std::string(MVM_SOURCE_DIR) + "/docs/language.md");
  std::string text, word;
  while (file >> word) text += (text.empty() ? "" : " ") + word;
  return text;
}

TEST(SecondVerifier, QuotesTheSpecificationInEveryClause) {
  const std::string text = page();
  ASSERT_NE(text, "");
  for (const Clause* clause : all_clauses()) EXPECT_NE(text.find(clause->sentence), std::string::npos) << clause->sentence;
}

}  // namespace
}  // namespace mvm::lang::reference
