// Setting up and tearing down tenants and taps with their rules, side by side in one run, each in a network namespace of its own:
// the net worker's executors; a bare program that asks the kernel for the same again; `ip` and `nft`, a command at a time; the CNI
// bridge plugin. Root. Worker and bare program take turns, ROUNDS times; the others, which take a minute, have as many turns as
// SLOW says, spread between them. Medians, and on the way a line of CSV for each sample.
// usage: net_setup [TENANTS TAPS [ROUNDS [SLOW]]]   64 tenants, 1,000 taps, 9 rounds, 1 slow one; the plugin does 100 containers
//        and is counted up
#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "bench/net_bare.h"
#include "bench/net_commands.h"

namespace {

using namespace mvm::bench;

struct Samples {
  const char* who;
  std::vector<double> up, down;
};

void take(Samples& samples, const Times& times) {
  samples.up.push_back(times.up);
  samples.down.push_back(times.down);
  std::printf("%s,%.1f,%.1f\n", samples.who, times.up, times.down);
  std::fflush(stdout);
}

// The middle one of the quotients of two who took turns: what else the machine did then met both.
double ratio(const std::vector<double>& one, const std::vector<double>& other) {
  std::vector<double> quotients;
  for (std::size_t i = 0; i < one.size() && i < other.size(); ++i) quotients.push_back(one[i] / other[i]);
  return median(quotients);
}

void print(const Samples& samples, const Samples& ours) {
  const auto range = [](std::vector<double> values) { return std::pair{*std::ranges::min_element(values), *std::ranges::max_element(values)}; };
  const bool by_turns = samples.up.size() == ours.up.size();
  const double up = by_turns ? ratio(samples.up, ours.up) : median(samples.up) / median(ours.up);
  const double down = by_turns ? ratio(samples.down, ours.down) : median(samples.down) / median(ours.down);
  std::printf("| %s | %.0f (%.0f-%.0f) | %.2f | %.0f (%.0f-%.0f) | %.2f |\n", samples.who, median(samples.up), range(samples.up).first, range(samples.up).second, up,
              median(samples.down), range(samples.down).first, range(samples.down).second, down);
}

}  // namespace

int main(int count, char** words) {
  const auto number = [&](int at, std::uint32_t otherwise) { return count > at ? static_cast<std::uint32_t>(std::atoi(words[at])) : otherwise; };
  Size size;
  size.tenants = number(1, size.tenants);
  size.taps = number(2, size.taps);
  const std::uint32_t rounds = number(3, 9), slow = number(4, 1);
  Samples ours{"worker", {}, {}}, same{"bare", {}, {}}, others{"commands", {}, {}}, plugin{"cni", {}, {}};
  Shares shares;
  std::printf("# %u tenants, %u taps\nwho,up_ms,down_ms\n", size.tenants, size.taps);
  for (std::uint32_t round = 0; round < rounds; ++round) {
    take(ours, in_a_namespace([&] { return worker(size); }));
    take(same, in_a_namespace([&] { return bare(size, nullptr); }));
    if ((round + 1) * slow / rounds == round * slow / rounds) continue;
    take(others, in_a_namespace([&] { return commands(size); }));
    if (has_cni_plugin()) take(plugin, in_a_namespace([&] { return cni_plugin(size); }));
  }
  std::printf("\n| | set up, ms | times the worker's | tear down, ms | times the worker's |\n| --- | --- | --- | --- | --- |\n");
  for (const Samples* samples : {&ours, &same, &others, &plugin})
    if (!samples->up.empty()) print(*samples, ours);
  // In this process: a namespace of its own, but of the last one to go.
  std::fflush(stdout);
  (void)in_a_namespace([&] {
    const Times times = bare(size, &shares);
    std::printf("\n| the bare program's time, in one more round | set up, ms | tear down, ms |\n| --- | --- | --- |\n");
    for (const auto& [kind, part] : shares) std::printf("| %s | %.1f | %.1f |\n", kind.c_str(), part.up, part.down);
    std::fflush(stdout);
    return times;
  });
}
