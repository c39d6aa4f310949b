// What a microVM's metadata service answers its own guest (docs/mmds/mmds-user-guide.md and src/vmm/src/mmds of Firecracker
// v1.16.1): version 2 alone, a token for each session, which is this service's own. The guest's TCP is left out.
// For tests only; never installed.
#pragma once

#include <chrono>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

namespace mvm::doubles {

class Mmds {
 public:
  // "METHOD /path [Header:value]..." of the guest's: "STATUS body" on one line. `store`: what the API was given.
  [[nodiscard]] std::string answer(const std::string& request, const nlohmann::json& store);

 private:
  std::map<std::string, std::chrono::steady_clock::time_point> tokens_;  // until when
};

}  // namespace mvm::doubles
