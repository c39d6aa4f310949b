// One client of the socket: receives a request with its descriptors, queues what is sent to it. Owns its socket and the
// descriptors that wait to be sent. Never blocks. Proven by: tests/supervisor/refusal_test.cc.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "schemas/broker.h"

namespace mvm::supervisor {

// Bytes that may wait for a client that reads slowly: for one whose plan runs, every event of the longest plan; for a
// watcher, much less, and then it is dropped.
inline constexpr std::size_t kMaxQueuedForSubmitter = 64 << 20;
inline constexpr std::size_t kMaxQueuedForWatcher = 1 << 20;

struct Incoming {
  wire::Request request;
  std::vector<Fd> descriptors;  // exactly descriptors_of(request)
};

class Connection {
 public:
  enum class Role : std::uint8_t { kIdle, kSubmitter, kWatcher, kReader };

  explicit Connection(Fd socket) : socket_(std::move(socket)) {}

  // The next request, if one has come. An error is the end of the connection: it was closed, or what came is no request, or
  // came with another number of descriptors.
  [[nodiscard]] Result<std::optional<Incoming>> receive();
  // kLimit: the client reads too slowly. Both are the end of the connection.
  [[nodiscard]] Status send(const wire::Event& event, Fd descriptor = {});
  [[nodiscard]] Status flush();

  [[nodiscard]] int fd() const { return socket_.get(); }
  [[nodiscard]] bool has_queued() const { return !queue_.empty(); }
  Role role = Role::kIdle;

 private:
  struct Outgoing {
    std::vector<std::uint8_t> bytes;
    Fd descriptor;
  };
  Fd socket_;
  std::deque<Outgoing> queue_;
  std::size_t queued_bytes_ = 0;
};

}  // namespace mvm::supervisor
