#include "broker/jail/balloon.h"

#include <algorithm>
#include <ctime>

#include "broker/jail/requests.h"

namespace mvm::jail {
namespace {

constexpr timespec kBetweenLooks{0, 20'000'000};

Result<BalloonStatistics> read_statistics(Api& api, Deadline deadline) {
  const auto response = api.call("GET", "/balloon/statistics", {}, deadline);
  if (!response) return forward(response.error());
  if (response->status != 200) return fail(Errc::kDenied, "GET /balloon/statistics", quote(response->body));
  return balloon_statistics(response->body);
}

Status set(Api& api, std::uint32_t mib, Deadline deadline) {
  const Request request = resize_balloon(mib);
  return api.change(request.method, request.path, request.body, deadline);
}

}  // namespace

Result<BalloonStatistics> balloon_statistics(std::string_view body) {
  const auto actual = number_field(body, "actual_mib");
  if (!actual) return forward(actual.error());
  BalloonStatistics statistics{.actual_mib = *actual, .available = std::nullopt};
  const auto available = number_field(body, "available_memory");
  if (!available && available.error().code != Errc::kNotFound) return forward(available.error());
  if (available) statistics.available = *available;
  return statistics;
}

std::uint32_t inflated_mib(std::uint64_t available_bytes, std::uint32_t mem_mib) {
  const std::uint32_t kept = std::max(kLeastKeptMib, mem_mib / kKeptPart);
  const auto available = static_cast<std::uint32_t>(std::min<std::uint64_t>(available_bytes >> 20, mem_mib));
  return available > kept ? available - kept : 0;
}

Result<Inflated> inflate(Api& api, std::uint32_t mem_mib) {
  const Deadline deadline(kInflateTime);
  const auto before = read_statistics(api, deadline);
  if (!before) return forward(before.error());
  if (!before->available) return fail(Errc::kNotFound, "hear from the guest how much memory it has to spare");
  Inflated inflated{.wanted_mib = inflated_mib(*before->available, mem_mib)};
  if (inflated.wanted_mib == 0) return inflated;
  if (auto asked = set(api, inflated.wanted_mib, deadline); !asked) return forward(asked.error());
  for (Deadline standstill(kStandstillTime); inflated.actual_mib < inflated.wanted_mib && !standstill.passed() && !deadline.passed();) {
    (void)nanosleep(&kBetweenLooks, nullptr);
    const auto now = read_statistics(api, deadline);
    if (!now) return forward(now.error());
    const auto actual = static_cast<std::uint32_t>(std::min<std::uint64_t>(now->actual_mib, mem_mib));
    if (actual > inflated.actual_mib) standstill = Deadline(kStandstillTime);
    inflated.actual_mib = actual;
  }
  return inflated;
}

Status deflate(Api& api) {
  auto done = set(api, 0, Deadline(kCallTime));
  return !done && done.error().code == Errc::kDenied ? Status{} : done;
}

}  // namespace mvm::jail
