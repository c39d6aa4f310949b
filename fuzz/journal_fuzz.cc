// The journal's marks, as a crash, a power cut or a bad disk leaves them. The first byte says of which boot they are.
#include "broker/supervisor/fault.h"
#include "broker/supervisor/journal.h"
#include "fuzz/check.h"

namespace mvm::supervisor {
void at_mark(std::uint64_t, Side) {}
}  // namespace mvm::supervisor

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mvm;
  using namespace mvm::supervisor;
  if (size == 0) return 0;
  const Digest plan = sha256("plan");
  const std::string_view bytes(reinterpret_cast<const char*>(data + 1), size - 1);
  const auto same = read_marks(bytes, plan, Boot::kSame), other = read_marks(bytes, plan, Boot::kAnother);
  fuzz::must(other.has_value() || other.error().code == Errc::kLimit, "in another boot nothing is damage");
  if (!same) return 0;
  fuzz::must(*same == *other, "what is sound in this boot is sound in another");
  std::string again;
  for (std::size_t i = 0; i < same->size(); ++i) again += print_mark((*same)[i], i, plan);
  fuzz::must(bytes.starts_with(again), "marks print as they were read");
  fuzz::must(bytes.size() - again.size() < 2 * kMarkBytes, "no more than one mark is given up");
  return 0;
}
