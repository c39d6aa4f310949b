// Starts an executable of the build as the supervisor starts a worker, looks at it, and ends it.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "broker/sandbox/spawn.h"
#include "tests/sandbox/policies.h"

namespace mvm::test {

// A copy of an executable that any user may run, wherever the build folder is.
class Runnable {
 public:
  explicit Runnable(const std::string& executable) {
    char name[] = "/tmp/mvm-worker-XXXXXX";
    root_ = mkdtemp(name);
    std::filesystem::permissions(root_, std::filesystem::perms(0755));
    std::filesystem::copy_file(executable, path());
    fd_ = Fd(open(path().c_str(), O_PATH | O_CLOEXEC));
  }
  ~Runnable() { std::filesystem::remove_all(root_); }
  Runnable(const Runnable&) = delete;
  Runnable& operator=(const Runnable&) = delete;
  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] std::string path() const { return root_ + "/worker"; }

 private:
  std::string root_;
  Fd fd_;
};

inline sandbox::Worker started(const sandbox::SpawnRequest& request) {
  auto worker = sandbox::spawn(request);
  if (worker) return std::move(*worker);
  ADD_FAILURE() << worker.error().message();
  std::abort();
}

// The exit code, or minus the signal.
inline int ended(const sandbox::Worker& worker) {
  siginfo_t info{};
  waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(worker.pidfd.get()), &info, WEXITED);
  return info.si_code == CLD_EXITED ? info.si_status : -info.si_status;
}

inline int kill_and_wait(const sandbox::Worker& worker) {
  syscall(SYS_pidfd_send_signal, worker.pidfd.get(), SIGKILL, nullptr, 0);
  return ended(worker);
}

// Of a worker that has not been waited for.
inline std::string pid_of(const sandbox::Worker& worker) {
  std::ifstream info("/proc/self/fdinfo/" + std::to_string(worker.pidfd.get()));
  std::string pid;
  for (std::string line; std::getline(info, line);) {
    if (line.starts_with("Pid:\t")) pid = line.substr(5);
  }
  return pid;
}

// /proc/PID/status, likewise.
inline std::string status_of(const sandbox::Worker& worker) {
  std::ifstream status("/proc/" + pid_of(worker) + "/status");
  return {std::istreambuf_iterator<char>(status), {}};
}

}  // namespace mvm::test
