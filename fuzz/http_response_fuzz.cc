// An answer of a hostile VMM. However it is cut, it is taken alike, within the limits, and never beyond its end; what is
// taken from it and what is said of it is short and printable.
#include <algorithm>
#include <cstdint>

#include "broker/jail/balloon.h"
#include "broker/jail/http_response.h"
#include "broker/jail/requests.h"
#include "fuzz/check.h"

namespace {

using namespace mvm;
using namespace mvm::jail;
using fuzz::must;
using Progress = ResponseParser::Progress;

struct Outcome {
  enum { kMore, kDone, kFailed } what = kMore;
  Response response;
  bool operator==(const Outcome&) const = default;
};

// Fed `step` bytes at a time.
Outcome parsed(std::string_view bytes, std::size_t step) {
  ResponseParser parser;
  while (!bytes.empty()) {
    const std::size_t size = std::min(step, bytes.size());
    const auto progress = parser.feed(bytes.substr(0, size));
    if (!progress) return {Outcome::kFailed, {}};
    bytes.remove_prefix(size);
    if (*progress == Progress::kDone && bytes.empty()) return {Outcome::kDone, parser.take()};
  }
  return {};
}

bool plain(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c >= 0x20 && c < 0x7f; });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const Outcome whole = parsed(bytes, size == 0 ? 1 : size);
  for (const std::size_t step : {1u, 2u, 7u, 4096u}) must(parsed(bytes, step) == whole, "an answer is taken alike however it is cut");
  const std::string said = quote(bytes);
  must(said.size() <= kMaxQuote && plain(said), "a quote is short and printable");
  if (whole.what != Outcome::kDone) return 0;
  must(whole.response.status >= 200 && whole.response.status < 600, "a status is one of an answer");
  must(whole.response.body.size() <= kMaxBody, "a body is within its limit");
  must(bytes.ends_with(whole.response.body), "nothing comes after a body");
  for (const char* name : {"state", "firecracker_version"}) {
    const auto value = string_field(whole.response.body, name);
    must(!value || (!value->empty() && value->size() <= 64 && plain(*value)), "a field is short and printable");
    if (value) (void)check_version(*value);
  }
  const auto statistics = balloon_statistics(whole.response.body);
  for (const std::uint32_t mem : {0u, 16u, 64u, 32'768u}) {
    must(!statistics || inflated_mib(statistics->available.value_or(0), mem) <= mem - std::min(mem, kLeastKeptMib), "a guest keeps what it needs, whatever it says");
  }
  return 0;
}
