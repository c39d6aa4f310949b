// One microVM that wakes, as who wakes it sees it: the page server that was started for it, what that has said, and the end of the microVM
// where the page server is not what it has to be. A VMM without its page server waits for a page for ever; so it is killed at once, and here,
// where nobody can forget it.
// Owns the page server's channel and pidfd, and cgroup.kill of the instance. What a page server says is parsed as hostile: it reads
// what a guest may have sent it.
// Proven by: tests/snapshot/waking_kernel_test.cc.
#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "broker/pages/order.h"
#include "broker/sandbox/spawn.h"

namespace mvm::snapshot {

enum class Stage : std::uint8_t {
  kStarting,  // the page server opens the snapshot
  kReady,     // Firecracker may be told to load
  kServing,   // the first page is in
  kWhole,     // all is in, and the page server has ended
  kGone,      // the microVM went by itself, and the page server with it
  kDied,      // the page server died, or lied, or took too long: the microVM has been killed
};

struct PageServer {
  int executable = -1;  // mvm-pages, as in sandbox::SpawnRequest
  const sandbox::Grants& grants;
  sandbox::User user;   // its own
  int snapshot = -1;    // sealed files, for reading
  int base = -1;        // -1: none
  int listener = -1;
  int cgroup_procs = -1;  // of the cgroup that it is to be in: cgroup.procs, open for writing. -1: it stays in ours
  sandbox::Becomes becomes = sandbox::Becomes::kGranted;
};

class Waking {
 public:
  using Clock = std::chrono::steady_clock;

  // `kill`: cgroup.kill of the instance, open for writing. It is not written where this fails: then there is no microVM yet.
  [[nodiscard]] static Result<Waking> start(const PageServer& server, const pages::Order& order, const pages::Keys& keys, Fd kill, Clock::time_point until);
  // The same, where the order waits in a channel that is there already (hand_over.h): `ours` is read, `theirs` is the page server's.
  [[nodiscard]] static Result<Waking> start_ordered(const PageServer& server, Fd ours, const Fd& theirs, Fd kill, Clock::time_point until);
  Waking(sandbox::Worker worker, Fd kill, Clock::time_point until) : worker_(std::move(worker)), kill_(std::move(kill)), until_(until) {}

  // To be polled for reading; where either is, or `until` has passed, advance() is to be called.
  [[nodiscard]] int channel() const { return worker_.channel.get(); }
  [[nodiscard]] int pidfd() const { return worker_.pidfd.get(); }
  [[nodiscard]] Clock::time_point until() const { return until_; }
  // For who takes its end when nobody watches it any more.
  [[nodiscard]] Fd release_pidfd() { return std::move(worker_.pidfd); }
  // Takes what has been said and seen. An error: the microVM was to be killed and could not be; nothing may go on then.
  [[nodiscard]] Status advance(Clock::time_point now);

  [[nodiscard]] Stage stage() const { return stage_; }
  [[nodiscard]] bool over() const { return stage_ >= Stage::kWhole; }
  // Of kWhole: what the next snapshot is to name as its first chunks. Numbers that a page server said; the writer checks them.
  [[nodiscard]] const std::vector<std::uint32_t>& touched() const { return touched_; }

 private:
  enum class Heard : std::uint8_t { kNothing, kReport, kEnd, kNonsense };
  Heard hear();
  [[nodiscard]] bool take(const pages::Report& report);
  Status look_at_the_end();
  Status end_the_microvm();

  sandbox::Worker worker_;
  Fd kill_;
  Clock::time_point until_;
  Stage stage_ = Stage::kStarting;
  pages::Said last_{};  // nothing yet
  std::vector<std::uint32_t> touched_;
};

}  // namespace mvm::snapshot
