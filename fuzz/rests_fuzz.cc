// What agentd keeps for the next one, and what the kernel says of memory.
#include "fuzz/check.h"
#include "planner/idle.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mvm;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const planner::Kept kept = planner::read_kept(text);
  fuzz::must(planner::read_kept(planner::write_kept(kept)) == kept, "what is read is written so that it is read again");
  const auto pressure = planner::read_pressure(text);
  fuzz::must(!pressure || (*pressure >= 0 && *pressure <= 100), "a share of the time is one");
  return 0;
}
