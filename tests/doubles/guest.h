// The guest of a doubled microVM: a real tap, held as Firecracker holds it, and behind it one host that answers ARP and
// ping, and sends pings when told to. Address, gateway and mask come from ip= on its kernel command line.
// For tests only; never installed.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace mvm::doubles {

using Mac = std::array<std::uint8_t, 6>;
using Clock = std::chrono::steady_clock;

// What came of a command that takes time: which client it was for, and the line to send it.
struct Outcome {
  std::uint64_t client = 0;
  std::string line;
};

// As Rust's std::io::Error is printed.
[[nodiscard]] std::string errno_text(int number);
// How Firecracker ends what it says of a tap that it cannot take.
inline constexpr const char* kSeeTaps = ". Check our documentation on setting up the network devices.";

class Guest {
 public:
  // What is wrong, or nothing. Not persistent: the tap has to be there, as the jail's uid may not make one.
  [[nodiscard]] std::optional<std::string> open_tap(const std::string& name, const std::string& mac);
  void begin(const std::string& boot_args);

  [[nodiscard]] int tap() const { return tap_; }
  // Reads one frame, and answers it where a host would.
  void receive();
  // While it is paused: one frame for later, as long as there is room; and what was kept, when it runs.
  [[nodiscard]] bool may_keep() const { return kept_.size() < kMaxKept; }
  void keep();
  void take_kept();
  // Borrowed: what it can write to and read from, by the drive's id.
  void add_drive(const std::string& id, int fd) { drives_[id] = fd; }
  // "ping A", "pingfrom S A", "send HEX", "address", "seen", "write DRIVE OFFSET WORD" (and flushes it), "read DRIVE OFFSET LENGTH": the
  // answer, or nothing where it comes later, from outcomes().
  [[nodiscard]] std::optional<std::string> command(std::uint64_t client, const std::string& line);
  [[nodiscard]] std::vector<Outcome> outcomes();

 private:
  static constexpr std::size_t kMaxKept = 256;  // what a driver offers
  struct Ping {
    std::uint64_t client;
    std::uint32_t from, to, hop;
    std::uint16_t sequence;
    bool sent;
    Clock::time_point since;
  };
  [[nodiscard]] std::string drive_command(const std::string& line) const;
  void take(const std::uint8_t* frame, std::size_t size);
  [[nodiscard]] std::vector<std::uint8_t> read_frame() const;
  void send_frame(const std::vector<std::uint8_t>& frame);
  void send_arp(std::uint16_t operation, const Mac& to, std::uint32_t to_address);
  void receive_arp(const std::uint8_t* frame, std::size_t size);
  void receive_ip(const std::uint8_t* frame, std::size_t size);
  void send_echo(Ping& ping, const Mac& to);

  int tap_ = -1;
  Mac mac_{};
  std::uint32_t address_ = 0, gateway_ = 0, mask_ = 0;
  std::map<std::uint32_t, Mac> neighbours_;
  std::vector<std::vector<std::uint8_t>> kept_;
  std::vector<Ping> pings_;
  std::vector<Outcome> done_;
  std::map<std::string, int> drives_;
  std::uint16_t sequence_ = 0;
  std::uint64_t seen_ = 0;  // frames that came
};

}  // namespace mvm::doubles
