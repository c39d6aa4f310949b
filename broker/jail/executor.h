// What the jail worker is asked, and what it answers: one task in, one or more answers out. Tasks of different instances may
// run at once; those of one instance are given one after the other.
// Owns the cgroups, the jails and the watch. Proven by: tests/jail/jail_kernel_test.cc.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "broker/jail/cgroup.h"
#include "broker/jail/jail_directory.h"
#include "broker/jail/microvm.h"
#include "broker/jail/watch.h"
#include "schemas/worker.h"

namespace mvm::jail {

// What main() opened, and where it was.
struct Host {
  Fd cgroups;               // directory of the delegated cgroup
  Fd state;                 // the state directory
  std::string state_path;   // absolute
  std::string firecracker;  // absolute; the directory of the two binaries
  Fd memory;                // directory of the memory file system
  std::string memory_path;  // absolute
  Fd block;                 // /sys/block
  PageServers pages = {};
  Fd link = {};             // from the snapshot worker
  Fd guests = {};           // to the guest worker
  Way way = Way::kPageByPage;
};

using Answerer = std::function<void(const wire::Answer&)>;

class Executor {
 public:
  // Reads which disk the state directory is on, settles what an earlier worker left half done, and begins to watch every microVM that is up.
  [[nodiscard]] static Result<std::unique_ptr<Executor>> make(Host host);

  void run(const wire::Task& task, const Answerer& answer);
  [[nodiscard]] Watch& watch() { return watch_; }
  [[nodiscard]] Wakes& wakes() { return wakes_; }
  // What page servers have come to. An error is the worker's end.
  [[nodiscard]] Status advance_wakes();

 private:
  Executor(Host host, MemoryDirectories memory, std::string io_device, Watch watch, Wakes wakes);
  [[nodiscard]] Status settle_all();
  [[nodiscard]] Status watch_all();
  [[nodiscard]] wire::Digested change(const wire::Task& task);
  [[nodiscard]] Status make(const wire::Task& task);
  [[nodiscard]] Status unmake(const wire::Task& task);
  [[nodiscard]] Status connect(const Subject& instance) const;
  [[nodiscard]] Status of_guest(const wire::Task& task) const;
  // Never fails: a guest that gives up no memory has parked all the same.
  void inflate(const wire::Task& task) const;
  [[nodiscard]] Result<std::vector<wire::Item>> inventory();
  [[nodiscard]] Result<std::vector<wire::Reading>> readings() const;

  Cgroups cgroups_;
  JailDirectories jails_;
  MemoryDirectories memory_;
  Wakes wakes_;
  Microvms microvms_;
  Watch watch_;
  Fd guests_;
};

}  // namespace mvm::jail
