// The cgroup (v2) of an instance: its anchor, made first and removed last, at <root>/<tenant>/<pool>/<instance>, where
// <root> is delegated to us alone. What runs in it is the instance; nothing else is asked who an instance's processes are.
// The limits are the anchor's. The processes are in a leaf below it, made anew for each start: a cgroup that was once killed
// kills, on Linux 6.18, whatever clone3 puts into it afterwards (the child's kill_seq is its parent's, not the cgroup's).
// Owns the descriptor of <root>; touches nothing outside of it. Documentation/admin-guide/cgroup-v2.rst.
// Proven by: tests/jail/cgroup_test.cc, tests/jail/jail_kernel_test.cc, and in the node VM with controllers.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "base/ids.h"
#include "broker/jail/deadline.h"
#include "policy-lang/statement.h"

namespace mvm::jail {

// One line for one of the cgroup's files.
struct Setting {
  std::string file;
  std::string value;
  bool operator==(const Setting&) const = default;
};

// What the limits are, in the order they are written. `io_device`: "8:0", or empty where the state directory is on no block
// device; then kUnsupported for a limit on io.
[[nodiscard]] Result<std::vector<Setting>> settings_of(const lang::CgroupView& limits, const std::string& io_device);

// "MAJOR:MINOR" of the whole disk that the file system of `directory` is on, which is what io.max takes; empty: none.
[[nodiscard]] Result<std::string> io_device_of(int directory);

enum class Population : std::uint8_t { kEmpty, kPopulated };

class Cgroups {
 public:
  Cgroups(Fd root, std::string io_device) : root_(std::move(root)), io_device_(std::move(io_device)) {}

  // kExists: it is there. kUnsupported: a controller is not ours to use. What was made is removed where a later step fails.
  [[nodiscard]] Status make(const Subject& instance, const lang::CgroupView& limits);
  // Kills what is in it, waits until it is gone, removes it and what is then empty above. Already gone is success.
  [[nodiscard]] Status remove(const Subject& instance, Deadline deadline);
  // kNotFound: it is not there.
  [[nodiscard]] Result<Fd> open(const Subject& instance) const;
  // Every instance that has one.
  [[nodiscard]] Result<std::vector<Subject>> list() const;

 private:
  Fd root_;
  std::string io_device_;
  std::mutex tree_;  // held while directories above an instance's are made or pruned
};

// Of an instance's cgroup.
[[nodiscard]] Result<Population> population(int cgroup);
struct Usage {
  std::uint64_t cpu = 0;                // microseconds, since it was made
  std::optional<std::uint64_t> memory;  // bytes, now; nothing where there is no memory controller
};
[[nodiscard]] Result<Usage> usage(int cgroup);
// The processes of its leaf; none where it has no leaf.
[[nodiscard]] Result<std::vector<pid_t>> processes(int cgroup);
// A leaf that nothing was ever killed in. The cgroup is empty.
[[nodiscard]] Result<Fd> make_leaf(int cgroup);
// The same for its page server, which is in a leaf of its own; that leaf's cgroup.procs, open for writing.
[[nodiscard]] Result<Fd> make_pages_leaf(int cgroup);
// cgroup.kill: SIGKILL to all that is in it, forks included; then waits until it is empty, and removes the leaf. kTimeout: it
// is not empty.
[[nodiscard]] Status kill_all(int cgroup, Deadline deadline);

// The instances that <tenant>/<pool>[/below]/<instance> names below `root`; other names are passed over.
[[nodiscard]] Result<std::vector<Subject>> instances_below(int root, const std::string& below = {});

}  // namespace mvm::jail
