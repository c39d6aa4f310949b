// at_mark() of the tests' build: MVM_FAULT=before:N or after:N kills the process at its Nth mark, as SIGKILL would.
#include <csignal>
#include <cstdlib>
#include <string>

#include "broker/supervisor/fault.h"

namespace mvm::supervisor {

void at_mark(std::uint64_t nth, Side side) {
  // Read once, while there is an environment to read: nothing here may need a system call that the filter refuses.
  static const char* const wanted = std::getenv("MVM_FAULT");
  if (wanted == nullptr) return;
  const std::string here = (side == Side::kBefore ? "before:" : "after:") + std::to_string(nth);
  // No system call that the filter grants sends a signal, so it dies as the filter kills: at once, by the kernel.
  if (here == wanted) __builtin_trap();
}

}  // namespace mvm::supervisor
