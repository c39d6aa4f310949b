// An audit log and its head (the first bytes), as anyone who could write them would leave them.
#include "base/audit_chain.h"
#include "fuzz/check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mvm;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::string_view head = input.substr(0, kAuditHeadBytes), log = input.substr(head.size());
  const auto chain = follow_audit({}, log);
  if (chain) fuzz::must(chain->head.bytes + chain->torn_bytes == log.size(), "every byte is a line's or torn");
  const auto verdict = verify_audit(log, head);
  if (!verdict) return 0;
  const auto known = read_audit_head(head);
  fuzz::must(known && verdict->head.lines >= known->lines, "a log that verifies has every line that its head knows");
  fuzz::must(chain && chain->head == verdict->head, "and is a chain from its first line");
  return 0;
}
