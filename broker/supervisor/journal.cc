#include "broker/supervisor/journal.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "broker/supervisor/fault.h"
#include "policy-lang/table.h"

namespace mvm::supervisor {
namespace {

constexpr const char* kPlan = "plan";
constexpr const char* kMarks = "marks";

// What stands before the sum.
struct Body {
  std::uint64_t nth = 0;
  std::uint32_t index = 0;
  std::uint8_t point = 0;
  std::uint8_t unused[3] = {};
};
static_assert(sizeof(Body) == 16 && kMarkBytes == 2 * sizeof(Body));

Body body_at(std::string_view bytes) {
  Body body;
  std::memcpy(&body, bytes.data(), sizeof body);
  return body;
}

}  // namespace

std::string print_mark(const Mark& mark, std::uint64_t nth, const Digest& plan) {
  const Body body{nth, mark.index, static_cast<std::uint8_t>(mark.point), {}};
  std::string bytes(reinterpret_cast<const char*>(&body), sizeof body);
  const Digest sum = sha256({reinterpret_cast<const char*>(plan.bytes.data()), plan.bytes.size()}, bytes);
  return bytes.append(reinterpret_cast<const char*>(sum.bytes.data()), kMarkBytes - sizeof body);
}

Result<std::vector<Mark>> read_marks(std::string_view bytes, const Digest& plan, Boot boot) {
  std::vector<Mark> marks;
  while (bytes.size() >= kMarkBytes) {
    const Body body = body_at(bytes);
    const Mark mark{body.index, static_cast<Point>(body.point)};
    const bool sound = body.point < kPoints && bytes.substr(0, kMarkBytes) == print_mark(mark, marks.size(), plan);
    const bool is_last = bytes.size() < 2 * kMarkBytes;
    if (!sound && (is_last || boot == Boot::kAnother)) break;
    if (!sound) return fail(Errc::kCorrupt, "read the journal's mark", std::to_string(marks.size()));
    if (marks.size() == kMaxMarks) return fail(Errc::kLimit, "read the journal's marks");
    marks.push_back(mark);
    bytes.remove_prefix(kMarkBytes);
  }
  return marks;
}

Status Journal::start(std::string_view plan_text, const Digest& plan) {
  auto marks = open_file(directory_, kMarks, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND);
  if (!marks) return forward(marks.error());
  // Synced before the plan is there, so that no older plan's marks can stand beside it.
  if (fsync(marks->get()) != 0) {
    const int saved = errno;
    return fail_errno(saved, "sync", kMarks);
  }
  marks_ = *std::move(marks);
  plan_ = plan;
  next_ = 0;
  return write_file(directory_, kPlan, plan_text, Keep::kOverPowerCut);
}

Status Journal::mark(const Mark& mark, Keep keep) {
  ++marks_of_this_process_;
  at_mark(marks_of_this_process_, Side::kBefore);
  if (auto wrote = write_all(marks_, print_mark(mark, next_, plan_), kMarks); !wrote) return wrote;
  ++next_;
  if (keep == Keep::kOverPowerCut && fdatasync(marks_.get()) != 0) {
    const int saved = errno;
    return fail_errno(saved, "sync", kMarks);
  }
  at_mark(marks_of_this_process_, Side::kAfter);
  return {};
}

Status Journal::finish() {
  marks_.reset();
  return remove_file(directory_, kPlan, Keep::kOverPowerCut);
}

Result<std::optional<Interrupted>> Journal::interrupted() const {
  auto plan = read_file(directory_, kPlan, lang::kMaxTextBytes);
  if (!plan && plan.error().code == Errc::kNotFound) return std::nullopt;
  if (!plan) return forward(plan.error());
  auto marks = read_file(directory_, kMarks, (kMaxMarks + 1) * kMarkBytes);
  if (!marks) return forward(marks.error());
  return Interrupted{*std::move(plan), *std::move(marks)};
}

}  // namespace mvm::supervisor
