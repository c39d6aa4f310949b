// Numbers and texts at fixed places, little-endian. Pure.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace mvm::snapshot_file {

// Writes one after the other; the caller knows that it fits.
class Put {
 public:
  explicit Put(std::uint8_t* at) : at_(at) {}
  template <class T>
  void number(T value) {
    for (std::size_t i = 0; i < sizeof value; ++i) *at_++ = static_cast<std::uint8_t>(value >> (8 * i));
  }
  template <class Range>
  void bytes(const Range& range) {
    at_ = std::copy(range.begin(), range.end(), at_);
  }

 private:
  std::uint8_t* at_;
};

// Reads one after the other; the caller knows that they are there.
class Get {
 public:
  explicit Get(const std::uint8_t* at) : at_(at) {}
  template <class T>
  [[nodiscard]] T number() {
    T value = 0;
    for (std::size_t i = 0; i < sizeof value; ++i) value |= static_cast<T>(static_cast<T>(*at_++) << (8 * i));
    return value;
  }
  template <class Range>
  void bytes(Range& range) {
    for (auto& each : range) each = static_cast<typename Range::value_type>(*at_++);
  }

 private:
  const std::uint8_t* at_;
};

}  // namespace mvm::snapshot_file
