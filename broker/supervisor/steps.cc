#include "broker/supervisor/steps.h"

#include <array>

namespace mvm::supervisor {
namespace {

using lang::Worker;
using wire::Op;

constexpr std::array kSleep = {Step{Worker::kJail, Op::kDump}, Step{Worker::kSnapshot, Op::kMake}, Step{Worker::kJail, Op::kClear}};
constexpr std::array kWake = {Step{Worker::kSnapshot, Op::kHandOver}, Step{Worker::kJail, Op::kMake}, Step{Worker::kSnapshot, Op::kSpend},
                              Step{Worker::kJail, Op::kRelease}};

constexpr std::size_t kWorkers = 6, kSigns = 3;
consteval auto single_steps() {
  std::array<std::array<Step, kSigns>, kWorkers> all{};
  for (std::size_t worker = 0; worker < kWorkers; ++worker) {
    for (std::size_t op = 0; op < kSigns; ++op) all[worker][op] = {static_cast<Worker>(worker), static_cast<Op>(op)};
  }
  return all;
}
constexpr auto kSingle = single_steps();
static_assert(static_cast<int>(Op::kMake) == static_cast<int>(lang::Sign::kAdd) - 1 && static_cast<int>(Op::kMove) == static_cast<int>(lang::Sign::kMove) - 1);

}  // namespace

std::span<const Step> steps_of(const lang::Statement& statement) {
  if (makes_snapshot(statement)) return kSleep;
  if (boots_from_snapshot(statement)) return kWake;
  const auto worker = static_cast<std::size_t>(lang::row(statement.word).worker);
  return std::span(kSingle[worker]).subspan(static_cast<std::size_t>(statement.sign) - 1, 1);
}

}  // namespace mvm::supervisor
