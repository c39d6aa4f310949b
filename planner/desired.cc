#include "planner/desired.h"

#include <dirent.h>
#include <fcntl.h>

#include <algorithm>
#include <cerrno>

#include "base/fd.h"
#include "base/owned.h"
#include "planner/files.h"
#include "policy-lang/parse.h"
#include "policy-lang/print.h"
#include "policy-lang/verify.h"

namespace mvm::planner {
namespace {

constexpr std::string_view kSuffix = ".projection";

Result<std::vector<std::string>> names_in(int directory_fd, const std::string& directory) {
  Fd copy(fcntl(directory_fd, F_DUPFD_CLOEXEC, 0));
  const Owned<DIR, &closedir> stream(copy.valid() ? fdopendir(copy.get()) : nullptr);
  if (!stream) return fail_errno(errno, "list", directory);
  static_cast<void>(copy.release());
  std::vector<std::string> names;
  while (const dirent* entry = readdir(stream.get())) {
    const std::string_view name = entry->d_name;
    if (!name.ends_with(kSuffix) || name.starts_with(".")) continue;
    if (names.size() == kMaxDesiredFiles) return fail(Errc::kLimit, "list (too many projections)", directory);
    names.emplace_back(name);
  }
  std::ranges::sort(names);
  return names;
}

bool signed_by_a_coordinator(std::string_view text, const Signature& signature, const lang::Document& policy) {
  return std::ranges::any_of(policy.statements, [&](const lang::Statement& line) {
    return line.word == lang::Word::kCoordinator && signed_by(line.digests[0].bytes, text, signature);
  });
}

Result<Desired> read_one(int directory, const std::string& name, const lang::Document& policy) {
  auto text = read_file(directory, name, lang::kMaxTextBytes);
  if (!text) return forward(text.error());
  auto raw = read_file(directory, name + ".sig", sizeof(Signature));
  if (!raw) return forward(raw.error());
  Signature signature;
  if (raw->size() != signature.size()) return fail(Errc::kMalformed, "read the signature (not 64 bytes)", name + ".sig");
  std::ranges::copy(*raw, signature.begin());
  return check_desired(std::move(*text), signature, policy);
}

}  // namespace

Result<Desired> check_desired(std::string text, const Signature& signature, const lang::Document& policy) {
  if (!signed_by_a_coordinator(text, signature, policy)) {
    return fail(Errc::kDenied, "check the signature", "no coordinator of the policy signed these bytes");
  }
  auto projection = lang::parse(lang::Kind::kProjection, text);
  if (!projection) return fail(Errc::kMalformed, "parse the projection", projection.error().message());
  if (projection->header.node != policy.header.node) {
    return fail(Errc::kDenied, "check the node", "it is for node " + std::string(projection->header.node.view()));
  }
  if (auto verified = lang::verify_projection(*projection, policy); !verified) {
    return fail(Errc::kDenied, "check the projection", verified.error().message());
  }
  return Desired{std::move(text), signature, std::move(*projection)};
}

Result<DesiredScan> scan_desired(const std::string& directory, const lang::Document& policy) {
  const Fd fd(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return fail_errno(errno, "open", directory);
  auto names = names_in(fd.get(), directory);
  if (!names) return forward(names.error());

  DesiredScan scan;
  std::string best_name;
  bool tie = false;
  for (const std::string& name : *names) {
    auto desired = read_one(fd.get(), name, policy);
    if (!desired) {
      scan.unfit.push_back({name, desired.error().message()});
      continue;
    }
    const std::uint64_t generation = desired->projection.header.generation;
    if (!scan.good.empty() && generation == scan.good[0].projection.header.generation && desired->text != scan.good[0].text) {
      scan.unfit.push_back({name, "another projection has the same generation: " + best_name});
      tie = true;
    } else if (scan.good.empty() || generation > scan.good[0].projection.header.generation) {
      scan.good.clear();
      scan.good.push_back(std::move(*desired));
      best_name = name;
      tie = false;
    }
  }
  if (tie) {
    scan.unfit.push_back({best_name, "another projection has the same generation"});
    scan.good.clear();
  }
  return scan;
}

}  // namespace mvm::planner
