// What the network's benchmarks have in common: tasks as the supervisor would send them, a network namespace of its own for each
// contender, and a clock.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/derived.h"
#include "broker/net/dispatch.h"

namespace mvm::bench {

inline constexpr Subnet kCidr{10U << 24 | 240U << 16, 12};

struct Size {
  std::uint32_t tenants = 64, taps = 1000, cni = 100;
};

// Ends the program where it is not so.
void check(bool good, const std::string& what);

[[nodiscard]] Subnet subnet_of(std::uint32_t net);
// Tap i of so many tenants, by turns.
[[nodiscard]] wire::Task tap_task(wire::Op op, std::uint32_t tenants, std::uint32_t i);
// Tenants with egress=nat and three rates, then taps; to unmake, the other way round.
[[nodiscard]] std::vector<wire::Task> tasks_of(wire::Op op, const Size& size);
// In runs of 256, as the worker takes them off its channel at most; each must be done.
void dispatch_in_runs(net::Kernel& kernel, const std::vector<wire::Task>& tasks);

struct Times {
  double up = 0, down = 0;  // ms
};

template <class Work>
double milliseconds(Work work) {
  const auto from = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - from).count();
}

void new_network();  // that forwards IPv4
// In a child, with a network and mounts of its own.
[[nodiscard]] Times in_a_namespace(const std::function<Times()>& work);
[[nodiscard]] double median(std::vector<double> values);

}  // namespace mvm::bench
