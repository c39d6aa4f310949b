// How long the supervisor thinks about a plan, and how much memory it takes: goals are in the counters' names.
// ./dev bench verify
#include <benchmark/benchmark.h>

#include <cstdlib>

#include "bench/counted_new.h"
#include "bench/node.h"
#include "policy-lang/diff.h"
#include "policy-lang/parse.h"
#include "policy-lang/print.h"
#include "policy-lang/verify.h"

namespace mvm::bench {
namespace {

using lang::Against;
using lang::Document;
using lang::Kind;

template <class T>
T must(lang::Checked<T> checked) {
  if (checked) return std::move(*checked);
  fprintf(stderr, "refused: line %u: %s: %s\n", checked.error().line, checked.error().statement.c_str(), checked.error().why.c_str());
  std::abort();
}

Document plan_between(const Document& from, const Document& to) {
  auto plan = lang::diff(from, to);
  if (plan) return std::move(*plan);
  fprintf(stderr, "no order: %s\n", plan.error().refusal.message().c_str());
  std::abort();
}

void verify_plan(benchmark::State& state, const Document& from, const Document& plan, const Node& node) {
  const std::size_t bytes = lang::print(plan).size();
  if (bytes > lang::kMaxTextBytes) std::abort();
  for (auto _ : state) {
    state.PauseTiming();
    Document copy = plan;
    state.ResumeTiming();
    benchmark::DoNotOptimize(must(lang::verify(std::move(copy), Against{from, node.projection, node.policy})));
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(bytes) * state.iterations());
  state.SetComplexityN(static_cast<std::int64_t>(plan.statements.size()));
}

// All of it made on an empty host.
void VerifyCreation(benchmark::State& state) {
  const Node node = make_node(static_cast<std::size_t>(state.range(0)));
  verify_plan(state, node.empty, plan_between(node.empty, node.full), node);
}
BENCHMARK(VerifyCreation)->Arg(100)->Arg(1'000)->Arg(4'000)->Arg(16'384)->Complexity()->Unit(benchmark::kMicrosecond);

// The same, instances in no order.
void VerifyCreationShuffled(benchmark::State& state) {
  const Node node = make_node(static_cast<std::size_t>(state.range(0)));
  verify_plan(state, node.empty, shuffled(plan_between(node.empty, node.full)), node);
}
BENCHMARK(VerifyCreationShuffled)->Arg(100)->Arg(1'000)->Arg(4'000)->Arg(16'384)->Complexity()->Unit(benchmark::kMicrosecond);

// Every jail of a full host paused: the digest of a full state, and a full state made.
void VerifyPauses(benchmark::State& state) {
  Node node = make_node(static_cast<std::size_t>(state.range(0)));
  for (lang::Statement& line : node.projection.statements) {
    if (line.word == lang::Word::kTenant) line.numbers[lang::field_index(lang::Word::kTenant, "warm")] = 100;
  }
  node.full.header.desired = lang::text_digest(node.projection);
  Document warm = node.full;
  for (lang::Statement& line : warm.statements) {
    if (line.word == lang::Word::kJail) line.numbers[lang::field_index(lang::Word::kJail, "state")] = lang::kWarm;
  }
  verify_plan(state, node.full, plan_between(node.full, warm), node);
}
BENCHMARK(VerifyPauses)->Arg(16'384)->Unit(benchmark::kMicrosecond);

void ParseAndVerify(benchmark::State& state) {
  const Node node = make_node(static_cast<std::size_t>(state.range(0)));
  const std::string text = lang::print(plan_between(node.empty, node.full));
  for (auto _ : state) {
    benchmark::DoNotOptimize(must(lang::verify(must(lang::parse(Kind::kPlan, text)), Against{node.empty, node.projection, node.policy})));
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(text.size()) * state.iterations());
}
BENCHMARK(ParseAndVerify)->Arg(100)->Arg(1'000)->Arg(4'000)->Arg(16'384)->Unit(benchmark::kMicrosecond);

void Diff(benchmark::State& state, const Document& from, const Document& to) {
  std::size_t statements = 0;
  for (auto _ : state) {
    const Document plan = plan_between(from, to);
    statements = plan.statements.size();
  }
  state.counters["statements"] = static_cast<double>(statements);
  state.SetComplexityN(state.range(0));
}
void DiffOfEveryEighth(benchmark::State& state) {
  const Node node = make_node(static_cast<std::size_t>(state.range(0)));
  Diff(state, node.full, node.other);
}
void DiffFromNothing(benchmark::State& state) {
  const Node node = make_node(static_cast<std::size_t>(state.range(0)));
  Diff(state, node.empty, node.full);
}
BENCHMARK(DiffOfEveryEighth)->Arg(100)->Arg(1'000)->Arg(4'000)->Arg(16'384)->Complexity()->Unit(benchmark::kMicrosecond);
BENCHMARK(DiffFromNothing)->Arg(100)->Arg(1'000)->Arg(4'000)->Arg(16'384)->Complexity()->Unit(benchmark::kMicrosecond);

// Parse, verify, and diff of where the host is with where it will be; texts included, what they were made from not.
void PeakMemory(benchmark::State& state) {
  const auto lines = static_cast<std::size_t>(state.range(0));
  std::string plan_text, projection_text, policy_text;
  {
    const Node node = make_node(lines);
    plan_text = lang::print(plan_between(node.empty, node.full));
    projection_text = lang::print(node.projection);
    policy_text = lang::print(node.policy);
  }
  double peak = 0;
  for (auto _ : state) {
    const std::size_t before = heap_now() - plan_text.capacity();
    reset_heap_peak();
    Document now;
    now.header.node = *Name::from("node-7");
    const Document projection = must(lang::parse(Kind::kProjection, projection_text)), policy = must(lang::parse(Kind::kPolicy, policy_text));
    const auto verified = must(lang::verify(must(lang::parse(Kind::kPlan, plan_text)), Against{now, projection, policy}));
    benchmark::DoNotOptimize(plan_between(now, verified.after()));
    peak = static_cast<double>(heap_peak() - before);
  }
  state.counters["MiB (below 16)"] = peak / (1 << 20);
}
BENCHMARK(PeakMemory)->Arg(100)->Arg(1'000)->Arg(4'000)->Arg(16'384)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace mvm::bench
