#include "broker/supervisor/audit.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <ctime>

#include "broker/supervisor/files.h"

namespace mvm::supervisor {
namespace {

constexpr const char* kLog = "log";
constexpr const char* kHead = "head";
// More than one plan's lines behind the head: what is not synced at the end of a plan is one plan at most.
constexpr std::size_t kMaxBehindHead = 64 << 20;

Result<AuditHead> load_head(const Fd& directory) {
  const auto bytes = read_file(directory, kHead, kAuditHeadBytes);
  if (!bytes && bytes.error().code == Errc::kNotFound) return AuditHead{};
  if (!bytes) return forward(bytes.error());
  return read_audit_head(*bytes);
}

Result<std::string> read_from(const Fd& log, std::uint64_t offset) {
  struct stat status {};
  if (fstat(log.get(), &status) != 0) {
    const int saved = errno;
    return fail_errno(saved, "look at", kLog);
  }
  const auto size = static_cast<std::uint64_t>(status.st_size);
  if (size < offset) return fail(Errc::kCorrupt, "find all lines that the head knows in", "the audit log");
  if (size - offset > kMaxBehindHead) return fail(Errc::kLimit, "follow the audit log from its head");
  std::string bytes(size - offset, '\0');
  for (std::size_t at = 0; at < bytes.size();) {
    const ssize_t got = pread(log.get(), bytes.data() + at, bytes.size() - at, static_cast<off_t>(offset + at));
    const int saved = errno;
    if (got < 0 && saved == EINTR) continue;
    if (got < 0) return fail_errno(saved, "read", kLog);
    if (got == 0) return fail(Errc::kCorrupt, "read", kLog);
    at += static_cast<std::size_t>(got);
  }
  return bytes;
}

}  // namespace

std::string utc_time(std::int64_t seconds_since_epoch) {
  using namespace std::chrono;
  const sys_seconds time{seconds(seconds_since_epoch)};
  const auto day = floor<days>(time);
  const year_month_day date(day);
  const hh_mm_ss clock(time - day);
  char text[64];
  std::snprintf(text, sizeof text, "%04d-%02u-%02uT%02d:%02d:%02dZ", static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                static_cast<unsigned>(date.day()), static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
                static_cast<int>(clock.seconds().count()));
  return text;
}

Result<Audit> Audit::open(Fd directory) {
  const auto head = load_head(directory);
  if (!head) return forward(head.error());
  auto log = open_file(directory, kLog, O_RDWR | O_CREAT | O_APPEND);
  if (!log) return forward(log.error());
  const auto behind = read_from(*log, head->bytes);
  if (!behind) return forward(behind.error());
  const auto tail = follow_audit(*head, *behind);
  if (!tail) return fail(Errc::kCorrupt, "follow the audit log", "line " + std::to_string(tail.error().line) + ": " + tail.error().why);
  if (tail->torn_bytes != 0 && ftruncate(log->get(), static_cast<off_t>(tail->head.bytes)) != 0) {
    const int saved = errno;
    return fail_errno(saved, "cut the torn line off", kLog);
  }
  return Audit(std::move(directory), *std::move(log), tail->head);
}

Status Audit::append(std::string_view what) {
  const AuditLine line = next_audit_line(head_, utc_time(std::time(nullptr)), what);
  if (auto wrote = write_all(log_, line.text, kLog); !wrote) return wrote;
  head_ = line.head;
  return {};
}

Status Audit::sync() {
  if (fdatasync(log_.get()) != 0) {
    const int saved = errno;
    return fail_errno(saved, "sync", kLog);
  }
  return write_file(directory_, kHead, print_audit_head(head_), Keep::kOverPowerCut);
}

}  // namespace mvm::supervisor
