// The balloon of one microVM: blown up when its guest has parked, so that memory it does not need goes back to the host and is sealed as zeros, and let
// out before the guest goes on. What the statistics say comes from the guest and is believed for nothing but how much to ask of that guest itself.
// Proven by: tests/jail/balloon_test.cc, tests/jail/balloon_kernel_test.cc, fuzz/http_response_fuzz.cc.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/error.h"
#include "broker/jail/api.h"

namespace mvm::jail {

// All of it, and until we give up where the balloon has stopped to grow.
inline constexpr std::chrono::milliseconds kInflateTime{2'000};
inline constexpr std::chrono::milliseconds kStandstillTime{300};
// MiB that a guest keeps at least, to go on with; of a large one a sixteenth.
inline constexpr std::uint32_t kLeastKeptMib = 16, kKeptPart = 16;

struct BalloonStatistics {
  std::uint64_t actual_mib = 0;
  std::optional<std::uint64_t> available;  // bytes; a guest without the driver says nothing
  bool operator==(const BalloonStatistics&) const = default;
};
// Of the body of GET /balloon/statistics. kMalformed: not what Firecracker prints.
[[nodiscard]] Result<BalloonStatistics> balloon_statistics(std::string_view body);

// To how many MiB: what is available less what is kept, and never more than a guest of `mem_mib` less what is kept.
[[nodiscard]] std::uint32_t inflated_mib(std::uint64_t available_bytes, std::uint32_t mem_mib);

struct Inflated {
  std::uint32_t wanted_mib = 0, actual_mib = 0;
};
// Until the guest has given what was wanted, or gives no more. The connection is of no more use after an error that is not kDenied or kNotFound (the guest
// says nothing of its memory).
[[nodiscard]] Result<Inflated> inflate(Api& api, std::uint32_t mem_mib);
// Asks for nothing more than that: the guest takes its memory back by itself. A microVM without a balloon, or whose guest has no driver of it, has nothing to let out.
[[nodiscard]] Status deflate(Api& api);

}  // namespace mvm::jail
