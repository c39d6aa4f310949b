// What hostd has in its hands before it gives up the power to take more: directories, the lock, the socket, the policy's
// text, the signals that end it. Owns them.
// Proven by: tests/supervisor/hostd_test.cc.
#pragma once

#include <sys/types.h>

#include <string>

#include "base/error.h"
#include "base/fd.h"
#include "broker/sandbox/identity.h"
#include "broker/supervisor/records.h"
#include "broker/supervisor/setup.h"
#include "broker/supervisor/workers.h"

namespace mvm::supervisor {

inline constexpr const char* kSocketName = "hostd.sock";
inline constexpr const char* kWorkersLock = "workers.lock";
inline constexpr int kBacklog = 64;

struct Opened {
  Fd state, records, journal, audit, images;  // directories
  Fd lock;                            // held while we live: one hostd a state directory
  Fd workers_lock;                    // read-only, an empty file; held by whoever has it open, which our workers do until they have ended
  Fd listener;                        // non-blocking
  Fd signals;                         // signalfd of SIGTERM and SIGINT, which are blocked
  std::string policy_text;
  std::string boot_id;
  sandbox::User self, agent;
};
// Needs root. Makes what is missing, with its owner and mode; refuses what others may write. Waits ten seconds for workers of a hostd
// before this to end. kBusy: they did not, or another hostd runs.
[[nodiscard]] Result<Opened> open_all(const Setup& setup);

// What isolation needs of the kernel, and that OpenSSL verifies what it should. Says what is missing.
[[nodiscard]] Status check_host(const Setup& setup);

// Which boot the journal and the records are of. remember_boot() after recovery, when they are of this one.
[[nodiscard]] Result<Boot> boot_of(const Fd& journal, const std::string& boot_id);
[[nodiscard]] Status remember_boot(const Fd& journal, const std::string& boot_id);

}  // namespace mvm::supervisor
