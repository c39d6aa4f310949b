// What was found: the answer of `mvm net verify`. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace mvm::verify {

enum class Answer : std::uint8_t { kSound, kFinding, kCannotTell };

struct Finding {
  std::string check;  // "host", "other-tenant", ...: docs/net-verify.md has them all
  std::vector<std::uint16_t> nets;  // whom it is about; none: the node
  std::string what;
  std::vector<std::pair<std::string, std::string>> packet;  // its fields: a value or a range
  std::vector<std::string> path;
  std::string doubt;  // why it may not be so; empty: it is
};

// Something that was met and is not modelled, or could not be read.
struct Unsure {
  std::vector<std::uint16_t> nets;  // on whose packets' way it lies; none: perhaps everybody's
  std::string what;
};

// Findings above this are counted, not told.
inline constexpr std::size_t kMaxFindings = 1000;

struct Report {
  std::vector<Finding> findings;
  std::vector<Unsure> cannot_tell;
  std::size_t taps = 0;     // from which packets were sent
  std::size_t untold = 0;   // findings past kMaxFindings

  [[nodiscard]] Answer answer() const {
    bool doubted = !cannot_tell.empty();
    for (const Finding& finding : findings) {
      if (finding.doubt.empty()) return Answer::kFinding;
      doubted = true;
    }
    return doubted ? Answer::kCannotTell : Answer::kSound;
  }
};

}  // namespace mvm::verify
