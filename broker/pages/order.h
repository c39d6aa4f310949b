// What a page server is told, once, in one packet on its channel, and what it says there. Numbers in the machine's own order: both ends are
// one build on one host.
// decode_order() is pure. Proven by: tests/pages/order_test.cc.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "base/digest.h"
#include "base/error.h"
#include "base/secret.h"

namespace mvm::pages {

inline constexpr std::uint32_t kMaxPatience = 60'000;  // milliseconds that Firecracker's hand-over is waited for, at most

struct Order {
  Digest file;                 // of the snapshot that it is to be: SHA-256 of header and sealed index
  Digest base;                 // of the one that it stands on, where it is a diff; else zero
  std::uint32_t peer = 0;      // the uid that the hand-over has to come from
  std::uint32_t patience = 0;  // milliseconds, from 1
};
inline constexpr std::size_t kOrderBytes = 80;  // and two data keys behind it, 32 bytes each
inline constexpr std::size_t kDataKeyBytes = 32;

[[nodiscard]] std::array<std::uint8_t, kOrderBytes> encode(const Order& order);
[[nodiscard]] Result<Order> decode_order(std::span<const std::uint8_t> bytes);

// The keys of one order: the second is zero where there is no base.
struct Keys {
  Secret file, base;
  [[nodiscard]] static Result<Keys> room(const SecretArena& arena);
};

// The order, and the keys straight into secret memory. kClosed where the other end has gone.
[[nodiscard]] Result<Order> receive_order(int channel, Keys& keys);
// For who starts one. The keys go out of secret memory by the system call alone.
[[nodiscard]] Status send_order(int channel, const Order& order, const Keys& keys);

enum class Said : std::uint32_t {
  kReady = 1,  // the snapshot is open and is the one that was meant: Firecracker may be told to load
  kFirst,      // the first page is in
  kWhole,      // all is in, the key is gone, the microVM's memory is its own; with the chunks that it touched
  kGone,       // the microVM went before that
};
struct Report {
  Said said = Said::kReady;
  std::uint64_t faults = 0;
  std::vector<std::uint32_t> touched;
};
inline constexpr std::size_t kMaxTouched = 32'768;  // chunks that are remembered for the next wake
inline constexpr std::size_t kMaxReport = 16 + 4 * kMaxTouched;

[[nodiscard]] std::vector<std::uint8_t> encode(const Report& report);
[[nodiscard]] Result<Report> decode_report(std::span<const std::uint8_t> bytes);
// Where nobody hears it any more, that is no error: a microVM outlives the worker that woke it.
[[nodiscard]] Status send_report(int channel, const Report& report);

}  // namespace mvm::pages
