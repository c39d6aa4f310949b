// What a register holds, byte by byte, and which packets make it equal to, or lie between, constants. Pure.
// Proven by: tests/net-verify/space_test.cc (against every value of the bytes), tests/net-verify/differential_test.cc.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "net-verify/space/box.h"

namespace mvm::verify {

enum class ByteKind : std::uint8_t {
  kConstant,
  kField,    // (byte of the field & mask) ^ value
  kSenders,  // of the packet, not modelled: the sender can make it what it likes
  kUnknown,  // of the host: nobody here can say
};

struct Byte {
  ByteKind kind = ByteKind::kUnknown;
  Field field = Field::kType;
  std::uint8_t shift = 0;  // of the byte in the field's value, in bits
  std::uint8_t mask = 0xff;
  std::uint8_t value = 0;
};

[[nodiscard]] inline Byte constant(std::uint8_t value) { return {ByteKind::kConstant, Field::kType, 0, 0, value}; }

// The bytes of a field as a register shows them.
[[nodiscard]] std::vector<Byte> bytes_of(Field field);

// What a conntrack state's register holds for a StateOf (NF_CT_STATE_BIT and its kin).
[[nodiscard]] std::uint64_t state_bits(std::uint64_t state);

enum class Certainty : std::uint8_t {
  kExact,
  kSenders,  // whatever the boxes say, the sender can also have it the other way
  kUnknown,  // we cannot say which
};

// The packets of a box for which a condition holds. Not kExact: each of them may also miss it (and none outside may meet it).
struct Condition {
  std::vector<Box> holds;
  Certainty certainty = Certainty::kExact;
};

using Constant = std::span<const std::uint8_t>;

// Intervals that one constraint on a field may be cut into; above it the answer is kUnknown.
inline constexpr std::size_t kMaxIntervals = 1024;

// bytes == value; they are of one length.
[[nodiscard]] Condition equals(const Box& box, std::span<const Byte> bytes, Constant value);
// low <= bytes <= high, as memcmp has it.
[[nodiscard]] Condition between(const Box& box, std::span<const Byte> bytes, Constant low, Constant high);

// What of the box is in none of those.
[[nodiscard]] std::vector<Box> without(const Box& box, const std::vector<Box>& taken);

// (value of the field & mask) == wanted, as disjoint ascending intervals; nothing above kMaxIntervals.
[[nodiscard]] std::optional<std::vector<Interval>> masked_equal(Field field, std::uint64_t mask, std::uint64_t wanted);

}  // namespace mvm::verify
