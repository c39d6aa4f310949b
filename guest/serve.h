// The guest's side of the wire: one listener, one host at a time, heartbeats in between.
// A new connection takes the place of the one before it: of a host that woke us, the old one is dead without our having been told.
// Proven by: tests/guest/serve_test.cc, and over vsock in tests/guest/guest_node_test.cc.
#pragma once

#include <chrono>

#include "base/fd.h"
#include "guest/session.h"

namespace mvm::guest {

inline constexpr std::chrono::seconds kHeartbeatEvery{5};

// SOCK_STREAM over vsock, on kPort, whatever our own context id is (vsock(7)): it may be another one after a wake.
[[nodiscard]] Result<Fd> listen_on_vsock();
// inotify(7) on what the work says of itself, so that the host hears of it at once.
[[nodiscard]] Result<Fd> watch_work(const std::string& run_directory);

class Server {
 public:
  // Both descriptors non-blocking, and held by the caller. `host`: the context id of who may connect; another's connection is closed at once, as is
  // that of a process of this guest itself.
  Server(int listener, int work, Session& session, std::uint32_t host) : listener_(listener), work_(work), session_(session), host_cid_(host) {}

  // Waits for what comes next, kHeartbeatEvery at most, and does it. Returns an error where the listener or the watch fail, which ends the
  // process; what a host does wrong ends its connection alone.
  [[nodiscard]] Status step();

 private:
  void welcome();
  void read_some();
  void answer(const FromHost& message);
  [[nodiscard]] bool send(const FromGuest& message);

  int listener_, work_;
  Session& session_;
  std::uint32_t host_cid_;
  Fd host_;
  Packet packet_{};
  std::size_t have_ = 0;  // bytes of packet_
  Clock::time_point next_heartbeat_{};
};

}  // namespace mvm::guest
