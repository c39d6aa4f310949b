#include "base/flake_ref.h"

#include <algorithm>

namespace mvm {

std::optional<FlakeRef> FlakeRef::from(std::string_view text) {
  const auto lower = [](char c) { return c >= 'a' && c <= 'z'; };
  const auto inner = [&](char c) {
    return lower(c) || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c != '\0' && kMarks.contains(c));
  };
  if (text.empty() || text.size() > kMaxFlakeRef || !lower(text.front()) || !std::ranges::all_of(text, inner)) return std::nullopt;
  FlakeRef ref;
  std::ranges::copy(text, ref.chars_.begin());
  return ref;
}

}  // namespace mvm
