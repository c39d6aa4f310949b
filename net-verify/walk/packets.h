// Packets on their way: which ones, how they came here, and whether we are sure. Pure.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "net-verify/model/snapshot.h"
#include "net-verify/space/box.h"

namespace mvm::verify {

// One step of a path. The snapshot outlives it.
struct Step {
  std::shared_ptr<const Step> before;
  std::string what;             // "enters by tn3i5", "accept"
  const Chain* chain = nullptr;
  const Rule* rule = nullptr;   // nothing: the chain's policy, or its end
};

using Path = std::shared_ptr<const Step>;

struct Packets {
  Box box;
  Path path;
  // Why we cannot say that they really come this way; nothing: they do.
  std::shared_ptr<const std::string> doubt;

  [[nodiscard]] Packets in(const Box& other) const { return {other, path, doubt}; }
  [[nodiscard]] Packets then(std::string what, const Chain* chain = nullptr, const Rule* rule = nullptr) const {
    return {box, std::make_shared<const Step>(Step{path, std::move(what), chain, rule}), doubt};
  }
  [[nodiscard]] Packets doubted(const std::string& why) const {
    return {box, path, doubt ? doubt : std::make_shared<const std::string>(why)};
  }
};

// Leaves out what lies wholly in another of them that is at least as sure, and joins what came by one way and is one box.
void merge(std::vector<Packets>& packets);

// First step first: "inet mvm from: within a tenant: accept".
[[nodiscard]] std::vector<std::string> lines_of(const Path& path);
// "table inet mvm chain from rule 12 (within a tenant)".
[[nodiscard]] std::string name_of(const Chain& chain, const Rule* rule);
[[nodiscard]] std::string family_name(std::uint8_t family);

}  // namespace mvm::verify
