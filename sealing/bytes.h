// Fixed formats, read and written field by field, big-endian. For this room's formats alone.
#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/ids.h"

namespace mvm::sealing {

// The caller has looked at the length of the whole before: taking more than there is ends the process.
class Reader {
 public:
  explicit Reader(std::span<const std::uint8_t> bytes) : left_(bytes) {}
  [[nodiscard]] std::span<const std::uint8_t> take(std::size_t count) {
    if (count > left_.size()) __builtin_trap();
    const auto taken = left_.first(count);
    left_ = left_.subspan(count);
    return taken;
  }
  // Whether what comes next, and is taken, is that text.
  [[nodiscard]] bool takes(std::string_view text) {
    const auto taken = take(text.size());
    return std::equal(taken.begin(), taken.end(), text.begin());
  }
  template <std::unsigned_integral T>
  [[nodiscard]] T number() {
    std::uint64_t value = 0;
    for (const std::uint8_t byte : take(sizeof(T))) value = value << 8 | byte;
    return static_cast<T>(value);
  }
  template <std::size_t kSize>
  [[nodiscard]] std::array<std::uint8_t, kSize> array() {
    std::array<std::uint8_t, kSize> out{};
    std::ranges::copy(take(kSize), out.begin());
    return out;
  }
  // A name, padded with zeros to 32 bytes.
  [[nodiscard]] std::optional<Name> name() {
    const auto raw = take(kMaxName);
    const std::string_view padded(reinterpret_cast<const char*>(raw.data()), raw.size());
    const auto end = padded.find('\0');
    const std::string_view text = padded.substr(0, end);
    if (end != std::string_view::npos && padded.find_first_not_of('\0', end) != std::string_view::npos) return std::nullopt;
    return Name::from(text);
  }
  [[nodiscard]] std::size_t left() const { return left_.size(); }

 private:
  std::span<const std::uint8_t> left_;
};

class Writer {
 public:
  void text(std::string_view bytes) { out_.insert(out_.end(), bytes.begin(), bytes.end()); }
  void bytes(std::span<const std::uint8_t> bytes) { out_.insert(out_.end(), bytes.begin(), bytes.end()); }
  void name(const Name& name) { out_.insert(out_.end(), name.padded().begin(), name.padded().end()); }
  template <std::unsigned_integral T>
  void number(T value) {
    for (std::size_t shift = 8 * sizeof(T); shift > 0; shift -= 8) out_.push_back(static_cast<std::uint8_t>(std::uint64_t{value} >> (shift - 8)));
  }
  [[nodiscard]] std::vector<std::uint8_t> done() && { return std::move(out_); }

 private:
  std::vector<std::uint8_t> out_;
};

}  // namespace mvm::sealing
