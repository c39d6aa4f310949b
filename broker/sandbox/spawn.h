// Starts a worker: an executable of its own, under its own user, with a socketpair to us and nothing else of ours.
// For the supervisor, at start, while it is root and has one thread. Owns the processes through Worker's pidfd.
// Proven by: tests/sandbox/spawn_test.cc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/error.h"
#include "base/fd.h"
#include "broker/sandbox/grants.h"
#include "broker/sandbox/identity.h"

namespace mvm::sandbox {

inline constexpr int kChannelFd = 3;     // in the worker: its end of the channel
inline constexpr int kFirstExtraFd = 4;  // in the worker: the first of SpawnRequest::extra
inline constexpr std::size_t kMaxExtraFds = 40;
inline constexpr std::size_t kMaxArguments = 40;

// Whether the worker is killed when who started it dies. A page server is not: its microVM outlives us, and needs it until all is in.
enum class Dies : std::uint8_t { kWithUs, kAlone };

enum class Channel : std::uint8_t { kStream, kSeqpacket };

// By become(), which needs CAP_SETPCAP; or, where who starts it has that no longer, by leaving uid 0 with nothing (step_down()), for what has no
// capability.
enum class Becomes : std::uint8_t { kGranted, kPlainUser };

struct SpawnRequest {
  int executable = -1;  // opened by the caller, O_PATH will do; what is run is this file and no path
  const Grants& grants;
  User user;
  Channel channel = Channel::kSeqpacket;
  std::span<const int> extra = {};               // given to the worker as 4, 5, ...
  std::span<const std::string> arguments = {};   // after argv[0], which is grants.process
  Dies dies = Dies::kWithUs;
  Becomes becomes = Becomes::kGranted;
  int given_channel = -1;  // the worker's end of a channel that is there already; then Worker::channel is nothing
  int cgroup_procs = -1;   // of the cgroup that it joins before it is anybody else: cgroup.procs, open for writing
};

struct Worker {
  Fd channel;  // ours; non-blocking is up to us. Readable at EOF when the worker is gone
  Fd pidfd;    // readable when the worker is gone; to be waited for with waitid(P_PIDFD)
};

// The worker starts in "/", in a session of its own, with an empty environment, /dev/null as 0 and 1, our stderr as 2, its
// channel as 3, `extra` behind it and no other descriptor. It is killed when we die, if `dies` says so. Returns once its execve has
// succeeded; every step before that which fails is the error.
[[nodiscard]] Result<Worker> spawn(const SpawnRequest& request);

}  // namespace mvm::sandbox
