// An instance as fixed bytes, for packets between two processes of one build on one host. Proven by: tests/base/instance_bytes_test.cc.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "base/ids.h"

namespace mvm {

struct InstanceBytes {
  std::array<char, kMaxName> tenant{}, pool{};  // padded with NUL
  std::uint32_t instance = 0, zero = 0;
};
static_assert(sizeof(InstanceBytes) == 2 * kMaxName + 8);

[[nodiscard]] InstanceBytes to_bytes(const Subject& instance);
// Nothing where a name is none, or is followed by anything.
[[nodiscard]] std::optional<Subject> from_bytes(const InstanceBytes& bytes);

}  // namespace mvm
