// The daemon in the guest of a doubled microVM: what mvm-guestd says by vsock, by its own code (guest/session.h), with a guest that only
// counts what it was made to do. For tests only; never installed.
#pragma once

#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "guest/session.h"

namespace mvm::doubles {

class Daemon final : public guest::Machine {
 public:
  // "": as it should be. "guest-refuses": does not park. "guest-silent": says nothing. "guest-babbles": says what is no message.
  explicit Daemon(std::string mischief) : mischief_(std::move(mischief)) {}

  // What it says to the bytes that came, which it takes off `in`; nothing where it closes the connection.
  [[nodiscard]] std::optional<std::string> hear(std::string& in);
  // "parks N wakes N goes N state S": what it was made to do, and what it now says of itself.
  [[nodiscard]] std::string told();
  // "ready", "idle", "busy": what the files in its /run/mvm would say from now on; false: no such word. It begins with ready.
  [[nodiscard]] bool work(const std::string& word);
  // As a snapshot of the guest's memory would keep it.
  [[nodiscard]] nlohmann::json state();
  void restore(const nlohmann::json& state);

 private:
  [[nodiscard]] guest::Outcome park(std::chrono::milliseconds timeout) override;
  [[nodiscard]] guest::Outcome wake(const guest::Resume& resume) override;
  void go() override { ++goes_; }
  [[nodiscard]] guest::Heartbeat work() override {
    return {work_, static_cast<std::uint32_t>(std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - since_).count())};
  }

  [[nodiscard]] guest::State now() { return std::get<guest::Heartbeat>(session_.heartbeat().body).state; }

  std::string mischief_;
  guest::Session session_{*this};
  guest::State work_ = guest::State::kReady;
  std::chrono::steady_clock::time_point since_ = std::chrono::steady_clock::now();
  int parks_ = 0, wakes_ = 0, goes_ = 0;
};

}  // namespace mvm::doubles
