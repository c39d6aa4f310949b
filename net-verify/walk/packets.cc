#include "net-verify/walk/packets.h"

#include <algorithm>

namespace mvm::verify {

std::string family_name(std::uint8_t family) {
  switch (family) {
    case 1: return "inet";
    case 2: return "ip";
    case 3: return "arp";
    case 5: return "netdev";
    case 7: return "bridge";
    case 10: return "ip6";
    default: return "family " + std::to_string(family);
  }
}

std::string name_of(const Chain& chain, const Rule* rule) {
  std::string name = family_name(chain.family) + " " + chain.table + " " + chain.name;
  if (rule == nullptr) return name;
  name += " rule " + std::to_string(rule->handle);
  if (!rule->comment.empty()) name += " (" + rule->comment + ")";
  return name;
}

std::vector<std::string> lines_of(const Path& path) {
  std::vector<std::string> lines;
  for (const Step* step = path.get(); step != nullptr; step = step->before.get())
    lines.push_back(step->chain == nullptr ? step->what : name_of(*step->chain, step->rule) + ": " + step->what);
  std::ranges::reverse(lines);
  return lines;
}

}  // namespace mvm::verify
