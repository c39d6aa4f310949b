// How long `mvm net verify` takes on a host of so many tenants and taps, made by the net worker's executors in a network namespace
// of its own: reading it back, and answering. Root. A line of CSV for each round, then the medians.
// usage: net_verify [TENANTS TAPS [ROUNDS]]   64 tenants, 1,000 taps, 5 rounds
#include <cstdio>
#include <cstdlib>

#include "bench/net_tasks.h"
#include "net-verify/read/read.h"
#include "net-verify/verify.h"

int main(int count, char** words) {
  using namespace mvm;
  const auto number = [&](int at, std::uint32_t otherwise) { return count > at ? static_cast<std::uint32_t>(std::atoi(words[at])) : otherwise; };
  bench::Size size;
  size.tenants = number(1, size.tenants);
  size.taps = number(2, size.taps);
  const std::uint32_t rounds = number(3, 5);
  (void)bench::in_a_namespace([&] {
    auto kernel = net::Kernel::open();
    bench::check(kernel.has_value(), "open the kernel's sockets");
    bench::dispatch_in_runs(*kernel, bench::tasks_of(wire::Op::kMake, size));
    verify::Expected expected;
    expected.cidr = bench::kCidr;
    for (const wire::Task& task : bench::tasks_of(wire::Op::kMake, size)) {
      const std::uint16_t net = task.place.net;
      auto& tenant = expected.tenants[net];
      tenant.name = task.statement.subject.tenant, tenant.net = net, tenant.subnet = task.place.subnet;
      if (task.statement.word == lang::Word::kBridge) tenant.has_bridge = true;
      if (task.statement.word == lang::Word::kRule) tenant.egress = lang::rule_view(task.statement).egress;
      if (task.statement.word == lang::Word::kTap) tenant.slots.insert(task.place.slot);
    }
    std::vector<double> reading, answering;
    std::printf("# %u tenants, %u taps\nread_ms,answer_ms\n", size.tenants, size.taps);
    for (std::uint32_t round = 0; round < rounds; ++round) {
      Result<verify::Snapshot> snapshot = fail(Errc::kNotFound, "read");
      reading.push_back(bench::milliseconds([&] { snapshot = verify::read_network(); }));
      bench::check(snapshot.has_value(), "read the network");
      answering.push_back(bench::milliseconds([&] {
        const verify::Report report = verify::verify(*snapshot, expected);
        for (const auto& finding : report.findings) std::fprintf(stderr, "%s: %s\n", finding.check.c_str(), finding.what.c_str());
        for (const auto& unsure : report.cannot_tell) std::fprintf(stderr, "cannot tell: %s\n", unsure.what.c_str());
        bench::check(report.answer() == verify::Answer::kSound && report.taps == size.taps, "find the host sound");
      }));
      std::printf("%.1f,%.1f\n", reading.back(), answering.back());
      std::fflush(stdout);
    }
    std::printf("# medians: read %.0f ms, answer %.0f ms\n", bench::median(reading), bench::median(answering));
    std::fflush(stdout);
    return bench::Times{};
  });
}
