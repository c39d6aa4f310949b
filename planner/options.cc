#include "planner/options.h"

#include <algorithm>
#include <charconv>
#include <string>
#include <string_view>

namespace mvm::planner {
namespace {

bool read_number(std::string_view text, std::uint32_t most, std::uint32_t& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() && number <= most;
}

// Of a name and what follows it; false: it is none.
bool read_idle(const std::string& name, const std::string& value, IdleSettings& idle) {
  constexpr std::uint32_t kMaxSeconds = 30 * 24 * 60 * 60;
  std::uint32_t number = 0;
  if (name == "--idle-pressure") return read_number(value, 100, idle.pressure);
  if (!read_number(value, kMaxSeconds, number)) return false;
  (name == "--idle-warm" ? idle.warm_after : idle.sleep_after) = std::chrono::seconds(number);
  return name == "--idle-warm" || name == "--idle-sleep";
}

}  // namespace

std::optional<Options> parse_options(std::span<const char* const> arguments) {
  Options options;
  IdleSettings idle;
  bool has_times = false, may_rest = false;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string name = arguments[i];
    if (name == "--once" || name == "--idle") {
      (name == "--once" ? options.once : may_rest) = true;
      continue;
    }
    std::string* target = name == "--desired" ? &options.config.desired
                          : name == "--policy" ? &options.config.policy
                          : name == "--socket" ? &options.config.socket
                          : name == "--status" ? &options.config.status
                          : name == "--sealed" ? &options.config.sealed
                          : name == "--vault" ? &options.config.vault
                          : name == "--listen" ? &options.config.listen
                                               : nullptr;
    if (i + 1 == arguments.size()) return std::nullopt;
    const std::string value = arguments[++i];
    if (target != nullptr) *target = value;
    else if (!(has_times = read_idle(name, value, idle))) return std::nullopt;
  }
  if (has_times && !may_rest) return std::nullopt;
  if (!may_rest) return options;
  // Shorter times than what begins to run is left alone for would never come.
  const auto shortest = idle.warm_after.count() != 0 ? idle.warm_after : idle.sleep_after;
  if (shortest.count() != 0) idle.awake_for = std::min(idle.awake_for, shortest);
  options.idle = idle;
  return options;
}

}  // namespace mvm::planner
