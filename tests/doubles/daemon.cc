#include "tests/doubles/daemon.h"

#include <algorithm>

namespace mvm::doubles {

using guest::Outcome;

Outcome Daemon::park(std::chrono::milliseconds) {
  if (mischief_ == "guest-refuses") return Outcome::kHookFailed;
  ++parks_;
  return Outcome::kDone;
}

Outcome Daemon::wake(const guest::Resume&) {
  ++wakes_;
  return Outcome::kDone;
}

std::optional<std::string> Daemon::hear(std::string& in) {
  std::string said;
  while (in.size() >= guest::kMessage) {
    guest::Packet packet;
    std::copy_n(in.begin(), packet.size(), packet.begin());
    in.erase(0, packet.size());
    const auto message = guest::decode_from_host(packet);
    if (!message) return std::nullopt;
    if (mischief_ == "guest-silent") continue;
    if (mischief_ == "guest-babbles") return std::string(guest::kMessage, '\x1b');
    // A heartbeat that nobody asked for may come before any answer.
    for (const auto& each : {Result<guest::FromGuest>(session_.heartbeat()), session_.answer(*message)}) {
      if (!each) return std::nullopt;
      const guest::Packet answer = guest::encode(*each);
      said.append(answer.begin(), answer.end());
    }
  }
  return said;
}

std::string Daemon::told() {
  const char* const kStates[] = {"", "starting", "ready", "idle", "busy", "parked"};
  return "parks " + std::to_string(parks_) + " wakes " + std::to_string(wakes_) + " goes " + std::to_string(goes_) + " state " + kStates[static_cast<int>(now())];
}

bool Daemon::work(const std::string& word) {
  if (word != "ready" && word != "idle" && word != "busy") return false;
  work_ = word == "ready" ? guest::State::kReady : word == "idle" ? guest::State::kIdle : guest::State::kBusy;
  since_ = std::chrono::steady_clock::now();
  return true;
}

nlohmann::json Daemon::state() { return {{"parks", parks_}, {"wakes", wakes_}, {"goes", goes_}, {"parked", now() == guest::State::kParked}}; }

void Daemon::restore(const nlohmann::json& state) {
  // It is not told again: it has been parked all the time.
  if (state["parked"]) (void)session_.answer({1, guest::Prepare{std::chrono::seconds(1)}});
  parks_ = state["parks"];
  wakes_ = state["wakes"];
  goes_ = state["goes"];
}

}  // namespace mvm::doubles
