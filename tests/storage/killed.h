// What a worker does, done in a child that is killed before one of its system calls. So whatever may be between two of them is tried, as
// a crash would. A seccomp filter stops it at each but the reads, of which there are thousands and which change nothing.
#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace mvm::storage {

enum class Ended : std::uint8_t { kKilled, kDone, kFailed };

inline void stop_at_calls() {
  sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_read, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE),
  };
  const sock_fprog program{4, code};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) std::abort();
}

// Killed before its `nth` call, from 1. A child has no locked memory of its parent's: `what` takes its own. `at_kill` runs while it
// stands there, before it is killed.
inline Ended killed_at(unsigned nth, const std::function<bool()>& what, const std::function<void()>& at_kill = [] {}) {
  const pid_t child = fork();
  if (child == 0) {
    ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
    raise(SIGSTOP);
    stop_at_calls();
    _exit(what() ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  ptrace(PTRACE_SETOPTIONS, child, nullptr, PTRACE_O_TRACESECCOMP | PTRACE_O_EXITKILL);
  ptrace(PTRACE_CONT, child, nullptr, nullptr);
  for (unsigned seen = 0; waitpid(child, &status, 0) == child && WIFSTOPPED(status);) {
    const bool at_call = status >> 8 == (SIGTRAP | (PTRACE_EVENT_SECCOMP << 8));
    seen += at_call;
    if (at_call && seen == nth) {
      at_kill();
      kill(child, SIGKILL);
    } else {
      ptrace(PTRACE_CONT, child, nullptr, nullptr);
    }
  }
  if (WIFSIGNALED(status)) return Ended::kKilled;
  return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? Ended::kDone : Ended::kFailed;
}

}  // namespace mvm::storage
