// parse() and print() of plans and states of 100 to 16,384 statements: bytes a second, which must not fall as they grow.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdlib>

#include "policy-lang/parse.h"
#include "policy-lang/print.h"
#include "tests/policy-lang/forms.h"

namespace {

using namespace mvm::lang;

void sizes(benchmark::internal::Benchmark* bench) {
  for (const std::int64_t size : {100, 1'000, 4'000, 16'384}) bench->Arg(size);
}

std::string full_text(Kind kind, std::int64_t size) {
  Document document = test::full_plan(static_cast<std::size_t>(size));
  document.kind = kind;
  if (kind == Kind::kState) {
    for (Statement& statement : document.statements) statement.sign = Sign::kNone;
    std::ranges::sort(document.statements, canonical_less);
  }
  return print(document);
}

void parse_text(benchmark::State& state, Kind kind) {
  const std::string text = full_text(kind, state.range(0));
  for (auto _ : state) {
    const auto document = parse(kind, text);
    if (!document) std::abort();
    benchmark::DoNotOptimize(document->statements.data());
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(text.size()));
  state.SetComplexityN(state.range(0));
  state.counters["bytes"] = static_cast<double>(text.size());
}

void parse_plan(benchmark::State& state) { parse_text(state, Kind::kPlan); }
void parse_state(benchmark::State& state) { parse_text(state, Kind::kState); }

void print_plan(benchmark::State& state) {
  const Document document = test::full_plan(static_cast<std::size_t>(state.range(0)));
  const std::string text = print(document);
  for (auto _ : state) benchmark::DoNotOptimize(print(document).data());
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(text.size()));
  state.SetComplexityN(state.range(0));
}

BENCHMARK(parse_plan)->Apply(sizes)->Complexity(benchmark::oN);
BENCHMARK(parse_state)->Apply(sizes)->Complexity(benchmark::oN);
BENCHMARK(print_plan)->Apply(sizes)->Complexity(benchmark::oN);

}  // namespace
