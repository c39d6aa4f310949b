#include "broker/snapshot/waking.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <utility>

namespace mvm::snapshot {

using pages::Said;

namespace {

// Descriptors 4, 5 and, of a diff, 6.
std::vector<int> extra_of(const PageServer& server) {
  std::vector<int> extra = {server.snapshot, server.listener};
  if (server.base >= 0) extra.push_back(server.base);
  return extra;
}

}  // namespace

Result<Waking> Waking::start(const PageServer& server, const pages::Order& order, const pages::Keys& keys, Fd kill, Clock::time_point until) {
  const std::vector<int> extra = extra_of(server);
  auto worker = sandbox::spawn({.executable = server.executable, .grants = server.grants, .user = server.user, .extra = extra, .dies = sandbox::Dies::kAlone});
  if (!worker) return forward(std::move(worker.error()));
  if (auto ok = pages::send_order(worker->channel.get(), order, keys); !ok) {
    syscall(SYS_pidfd_send_signal, worker->pidfd.get(), SIGKILL, nullptr, 0);
    return forward(std::move(ok.error()));
  }
  return Waking(std::move(*worker), std::move(kill), until);
}

Result<Waking> Waking::start_ordered(const PageServer& server, Fd ours, const Fd& theirs, Fd kill, Clock::time_point until) {
  const std::vector<int> extra = extra_of(server);
  auto worker = sandbox::spawn({.executable = server.executable, .grants = server.grants, .user = server.user, .extra = extra, .dies = sandbox::Dies::kAlone,
                                .becomes = server.becomes, .given_channel = theirs.get(), .cgroup_procs = server.cgroup_procs});
  if (!worker) return forward(std::move(worker.error()));
  worker->channel = std::move(ours);
  return Waking(std::move(*worker), std::move(kill), until);
}

Status Waking::advance(Clock::time_point now) {
  if (over()) return {};
  for (Heard heard = hear(); heard != Heard::kNothing; heard = hear()) {
    if (heard == Heard::kNonsense) return end_the_microvm();
    if (heard == Heard::kEnd) return look_at_the_end();
  }
  return now > until_ ? end_the_microvm() : Status{};
}

Waking::Heard Waking::hear() {
  std::vector<std::uint8_t> packet(pages::kMaxReport + 1);
  ssize_t got = 0;
  int saved = 0;
  do {
    got = recv(worker_.channel.get(), packet.data(), packet.size(), MSG_DONTWAIT);
    saved = errno;
  } while (got < 0 && saved == EINTR);
  if (got < 0 && (saved == EAGAIN || saved == EWOULDBLOCK)) return Heard::kNothing;
  if (got <= 0) return Heard::kEnd;
  const auto report = pages::decode_report(std::span(packet).first(static_cast<std::size_t>(got)));
  return report && take(*report) ? Heard::kReport : Heard::kNonsense;
}

// Each thing is said once, in its order. The microVM may go at any time after the hand-over.
bool Waking::take(const pages::Report& report) {
  switch (report.said) {
    case Said::kReady:
      if (last_ != Said{}) return false;
      stage_ = Stage::kReady;
      break;
    case Said::kFirst:
      if (last_ != Said::kReady) return false;
      stage_ = Stage::kServing;
      break;
    case Said::kWhole:
      if (last_ != Said::kReady && last_ != Said::kFirst) return false;
      touched_ = report.touched;
      break;
    case Said::kGone:
      if (last_ != Said::kReady && last_ != Said::kFirst) return false;
      break;
  }
  last_ = report.said;
  return true;
}

// Its channel has closed. It ends well only by exit status 0 after it has said that it is done; whoever closes its channel and lives is no
// page server of ours.
Status Waking::look_at_the_end() {
  constexpr int kMoment = 1000;  // milliseconds from its last packet to its end
  pollfd ended{.fd = worker_.pidfd.get(), .events = POLLIN, .revents = 0};
  const bool said_all = last_ == Said::kWhole || last_ == Said::kGone;
  siginfo_t info{};
  const bool has_ended = poll(&ended, 1, said_all ? kMoment : 0) == 1 &&
                         waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(worker_.pidfd.get()), &info, WEXITED | WNOHANG) == 0;
  if (!has_ended || !said_all || info.si_code != CLD_EXITED || info.si_status != 0) return end_the_microvm();
  stage_ = last_ == Said::kWhole ? Stage::kWhole : Stage::kGone;
  return {};
}

Status Waking::end_the_microvm() {
  stage_ = Stage::kDied;
  syscall(SYS_pidfd_send_signal, worker_.pidfd.get(), SIGKILL, nullptr, 0);
  if (write(kill_.get(), "1", 1) != 1) return fail_errno(errno, "kill a microVM whose page server died");
  return {};
}

}  // namespace mvm::snapshot
