// What is too slow to be tried each time, tried in part: every so many, from another first one each time.
#pragma once

#include <unistd.h>

#include <cstdlib>

namespace mvm::test {

// Of what is counted from 1: first, first + step, and so on. MVM_EVERY says another step than the usual one; 1 is each.
struct Every {
  explicit Every(unsigned usual) : step(usual) {
    if (const char* const text = std::getenv("MVM_EVERY")) step = static_cast<unsigned>(std::atoi(text));
    first = 1 + static_cast<unsigned>(getpid()) % step;
  }
  unsigned step, first;
};

}  // namespace mvm::test
