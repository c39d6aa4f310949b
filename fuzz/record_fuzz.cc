// A record: its name, a line feed, its text, as anyone who could write the directory would leave it.
#include "broker/supervisor/fault.h"
#include "broker/supervisor/records.h"
#include "fuzz/check.h"
#include "policy-lang/parse.h"
#include "policy-lang/print.h"

namespace mvm::supervisor {
void at_mark(std::uint64_t, Side) {}
}  // namespace mvm::supervisor

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mvm;
  using namespace mvm::supervisor;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const auto end = input.find('\n');
  if (end == std::string_view::npos) return 0;
  const auto parsed = lang::parse(lang::Kind::kState, input.substr(end + 1));
  if (!parsed) return 0;
  const std::string name(input.substr(0, end));
  if (!is_record(name, parsed->header.node, *parsed)) return 0;
  fuzz::must(name.find('/') == std::string::npos, "no record is outside its directory");
  for (const auto& line : parsed->statements) fuzz::must(record_name(line.subject) == name, "a record speaks of its own subject alone");
  return 0;
}
