// Four texts, one after the other: policy, projection, state, plan. Where all four parse, verify() and the slow second verifier
// say the same; what is accepted leads where apply() does; and, run on a host that has only names, no statement of it
// fails. Digests are mended, and the plan's header once more, so that mutations reach what is behind them.
#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "fuzz/text_target.h"
#include "policy-lang/diff.h"
#include "policy-lang/verify.h"
#include "tests/policy-lang/reference_verifier.h"
#include "tests/policy-lang/run_model.h"

namespace {

using namespace mvm;
using namespace mvm::lang;

constexpr std::size_t kMostStatements = 128;  // of each text: the second verifier is slow by design

std::optional<std::array<Document, 4>> four_texts(std::string_view bytes) {
  constexpr std::array kOrder = {Kind::kPolicy, Kind::kProjection, Kind::kState, Kind::kPlan};
  std::array<Document, 4> documents;
  for (std::size_t i = 0; i < 4; ++i) {
    const std::string next = i == 3 ? "" : "mvm-" + std::string(to_string(kOrder[i + 1])) + " 1\n";
    const std::size_t end = i == 3 ? bytes.size() : bytes.find(next);
    if (end == std::string_view::npos) return std::nullopt;
    const std::string text(bytes.substr(0, end));
    auto parsed = parse(kOrder[i], i == 0 ? text : fuzz::with_digest_mended(text));
    if (!parsed || parsed->statements.size() > kMostStatements) return std::nullopt;
    documents[i] = std::move(*parsed);
    bytes.remove_prefix(end);
  }
  return documents;
}

void check_that_it_runs(const Document& plan, const Against& against) {
  test::RunModel host(against.policy);
  if (!host.stand(against.state).empty()) return;
  for (const Statement& s : plan.statements) {
    const std::string failed = host.run(s);
    fuzz::must(failed.empty(), "a plan that verifies does not fail when it runs: " + print(s) + ": " + failed);
  }
}

void check(const Document& plan, const Against& against) {
  const auto verdict = verify(plan, against);
  const auto second = reference::verify(plan, against);
  fuzz::must(verdict.has_value() == (second.refused_by == nullptr), "both verifiers accept, or both refuse");
  if (!verdict) {
    fuzz::must(verdict.error().rule == second.refused_by->rule && verdict.error().line == second.line, "both refuse by the same rule on the same line");
    return;
  }
  fuzz::must(verdict->after() == second.after, "both lead to the same state");
  const auto applied = apply(against.state, plan);
  fuzz::must(applied && *applied == verdict->after(), "verify() leads where apply() does");
  check_that_it_runs(plan, against);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto texts = four_texts({reinterpret_cast<const char*>(data), size});
  if (!texts) return 0;
  auto [policy, projection, state, plan] = *texts;
  const Against against{state, projection, policy};
  check(plan, against);
  plan.header = {projection.header.node, projection.header.generation, true, text_digest(projection), text_digest(state)};
  check(plan, against);
  return 0;
}
