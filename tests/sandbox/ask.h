// A worker asked as the supervisor asks it.
#pragma once

#include <poll.h>
#include <sys/socket.h>

#include <cstdio>
#include <optional>
#include <vector>

#include "broker/sandbox/spawn.h"
#include "schemas/worker.h"

namespace mvm::test {

// Its next answer or event, its error printed; nothing where none comes in time, it has ended, or what comes is none.
inline std::optional<wire::Answer> received(const sandbox::Worker& worker, int patience_ms = 30'000) {
  pollfd waited{.fd = worker.channel.get(), .events = POLLIN, .revents = 0};
  std::vector<std::uint8_t> answer(wire::kMaxPacket);
  if (poll(&waited, 1, patience_ms) != 1) return std::nullopt;
  const ssize_t got = recv(worker.channel.get(), answer.data(), answer.size(), 0);
  if (got <= 0) return std::nullopt;
  auto decoded = wire::decode_answer({answer.data(), static_cast<std::size_t>(got)});
  if (decoded && !decoded->ok) std::fprintf(stderr, "%s\n", decoded->error.message().c_str());
  return decoded ? std::optional(*decoded) : std::nullopt;
}

inline std::optional<wire::Answer> asked(const sandbox::Worker& worker, const wire::Task& task, int patience_ms = 30'000) {
  const auto packet = wire::encode(task);
  if (send(worker.channel.get(), packet.data(), packet.size(), MSG_NOSIGNAL) < 0) return std::nullopt;
  return received(worker, patience_ms);
}

}  // namespace mvm::test
