// The plan that runs now, and how far it has come: what recovery reads after a crash.
// Owns the directory `journal`: `plan`, the text; `marks`, fixed-size marks, each checked by a sum over the plan's digest, so
// that no mark of another plan is taken for one of this. Removed when the plan has ended.
// Proven by: tests/supervisor/journal_test.cc, crash_test.cc, fuzz/journal_fuzz.cc. Format: docs/journal.md.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.h"
#include "base/error.h"
#include "base/fd.h"
#include "broker/supervisor/files.h"
#include "broker/supervisor/records.h"

namespace mvm::supervisor {

enum class Point : std::uint8_t {
  kBegin,      // its task is about to be sent
  kDone,       // its worker has confirmed it, and the record says so
  kFailed,     // its worker has refused it
  kUndoBegin,  // its inverse is about to be sent
  kUndone,
};
inline constexpr std::uint8_t kPoints = 5;

struct Mark {
  std::uint32_t index = 0;  // of the statement in the plan
  Point point = Point::kBegin;
  bool operator==(const Mark&) const = default;
};
inline constexpr std::size_t kMarkBytes = 32;
// begin, done, undo begin, undone of every statement
inline constexpr std::size_t kMaxMarks = 4 * lang::kMaxStatements;

// The nth mark (from 0) of the plan with that digest.
[[nodiscard]] std::string print_mark(const Mark& mark, std::uint64_t nth, const Digest& plan);
// Marks as they stand in the file. The last one may be torn, and is then not there. kCorrupt: any other is; but in another
// boot than theirs what follows it is given up, because what was not synced spoke of things that went with the power.
[[nodiscard]] Result<std::vector<Mark>> read_marks(std::string_view bytes, const Digest& plan, Boot boot);

struct Interrupted {
  std::string plan;   // text
  std::string marks;  // bytes, for read_marks()
};

class Journal {
 public:
  explicit Journal(Fd directory) : directory_(std::move(directory)) {}

  [[nodiscard]] Status start(std::string_view plan_text, const Digest& plan);
  [[nodiscard]] Status mark(const Mark& mark, Keep keep);
  [[nodiscard]] Status finish();
  // What the last process left, if it was in the middle of a plan.
  [[nodiscard]] Result<std::optional<Interrupted>> interrupted() const;

 private:
  Fd directory_;
  Fd marks_;  // open while a plan runs
  Digest plan_;
  std::uint64_t next_ = 0;
  std::uint64_t marks_of_this_process_ = 0;
};

}  // namespace mvm::supervisor
