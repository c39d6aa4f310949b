// Desired state as it lies in a directory: NAME.projection with the coordinator's text, NAME.projection.sig with the 64 bytes of
// its signature. The newest that is good counts; what is not good is named, with the reason, and changes nothing.
// Reads files below the directory that it is given, by descriptor, regular files only, following no symlink.
// Proven by: tests/planner/desired_test.cc.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "planner/signing.h"
#include "policy-lang/statement.h"

namespace mvm::planner {

inline constexpr std::size_t kMaxDesiredFiles = 64;  // projections looked at in one directory

struct Desired {
  std::string text;
  Signature signature{};
  lang::Document projection;
};

struct Unfit {
  std::string file;
  std::string why;
};

struct DesiredScan {
  std::vector<Desired> good;  // at most one: the highest generation
  std::vector<Unfit> unfit;
};

// Checks in this order: sizes, signature by one of the policy's coordinators over the exact bytes, form, node, and the
// projection by itself (lang::verify_projection). Two texts of one generation are both unfit.
[[nodiscard]] Result<DesiredScan> scan_desired(const std::string& directory, const lang::Document& policy);

// The same for one text. kDenied with the reason in `on`.
[[nodiscard]] Result<Desired> check_desired(std::string text, const Signature& signature, const lang::Document& policy);

}  // namespace mvm::planner
