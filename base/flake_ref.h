// Where an image was built from, as Nix names it: "github:acme/images/4f2c...#worker". Kept so that people can build the same
// again; nothing here fetches it. A value; trivially copyable, compared byte by byte.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstring>
#include <optional>
#include <string_view>

namespace mvm {

inline constexpr std::size_t kMaxFlakeRef = 160;  // bytes

// A lower-case letter, then letters, digits and the marks of kMarks: no space, quote, backslash or control byte, so it
// is a word on any line. Padded with NUL.
class FlakeRef {
 public:
  static constexpr std::string_view kMarks = "-._~:/?#@+=&%";
  FlakeRef() = default;  // none
  [[nodiscard]] static std::optional<FlakeRef> from(std::string_view text);
  [[nodiscard]] std::string_view view() const { return {chars_.data(), strnlen(chars_.data(), kMaxFlakeRef)}; }
  [[nodiscard]] bool empty() const { return chars_[0] == '\0'; }
  [[nodiscard]] const std::array<char, kMaxFlakeRef>& padded() const { return chars_; }
  auto operator<=>(const FlakeRef&) const = default;

 private:
  std::array<char, kMaxFlakeRef> chars_{};
};

}  // namespace mvm
