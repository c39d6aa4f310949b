// The client's end of the broker's socket: for agentd and for `mvm`. Owns one connection; blocks; one request a connection.
// Touches the socket and memfds that it makes itself. What hostd sends is decoded by schemas/broker.h and nothing else.
// Proven by: tests/supervisor/ (against hostd).
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "schemas/broker.h"

namespace mvm::planner {

// hostd says nothing for longer than this while a plan runs: kTimeout. A statement has less than that (broker/supervisor).
inline constexpr std::chrono::seconds kEventTimeout{120};

struct Submission {
  std::string_view plan;        // canonical text
  std::string_view projection;  // the exact bytes that were signed
  std::array<std::uint8_t, wire::kSignatureBytes> signature{};
  std::span<const std::uint8_t> keys;  // a bundle of envelopes (sealing/bundle.h), or nothing
  wire::Mode mode = wire::Mode::kCheck;
};

using OnEvent = std::function<void(const wire::Event&)>;

class BrokerClient {
 public:
  [[nodiscard]] static Result<BrokerClient> connect(const std::string& socket_path = wire::kBrokerSocket);

  // Sends, then calls `on_event` for every event, and returns the last one: Accepted (of a check), Refused, Finished, Busy or
  // Failed. kClosed where hostd hung up before a last event: what of the plan was carried out is then to be asked by state().
  [[nodiscard]] Result<wire::Event> submit(const Submission& submission, const OnEvent& on_event);
  struct Asked {
    std::string state;                // canonical text, its digest checked against the event's
    std::vector<std::uint8_t> offer;  // to whom keys may be sealed (sealing/offer.h); no bytes: to nobody. Its signature is not checked
  };
  [[nodiscard]] Result<Asked> ask();
  [[nodiscard]] Result<std::string> state();  // of ask()
  // Of every instance that runs. kBusy: a plan runs.
  [[nodiscard]] Result<std::vector<wire::Reading>> readings();
  // Calls `on_event` for every event until it returns an error (kClosed) or `go_on` returns false after an event.
  [[nodiscard]] Status watch(const OnEvent& on_event, const std::function<bool()>& go_on);

 private:
  explicit BrokerClient(Fd socket) : socket_(std::move(socket)) {}
  Fd socket_;
};

}  // namespace mvm::planner
