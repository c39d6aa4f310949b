// A stretch of a guest's memory, by its address in the process that has it. Who finds it, who is told of it and who reads it are three programs' rooms.
#pragma once

#include <cstdint>

namespace mvm {

struct Stretch {
  std::uint64_t at = 0, bytes = 0;
  bool operator==(const Stretch&) const = default;
};

}  // namespace mvm
