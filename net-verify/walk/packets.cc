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

namespace {

bool same(const Path& one, const Path& other) {
  const Step *a = one.get(), *b = other.get();
  for (; a != b; a = a->before.get(), b = b->before.get())
    if (a == nullptr || b == nullptr || a->chain != b->chain || a->rule != b->rule || a->what != b->what) return false;
  return true;
}

bool as_sure(const Packets& one, const Packets& other) { return one.doubt == nullptr || other.doubt != nullptr; }

// What stands for both, where one is in the other, or they came by one way and make one box together.
std::optional<Packets> both(const Packets& one, const Packets& other) {
  const auto union_of = join(one.box, other.box);
  if (!union_of) return std::nullopt;
  if (as_sure(one, other) && *union_of == one.box) return one;
  if (as_sure(other, one) && *union_of == other.box) return other;
  const bool alike = (one.doubt == nullptr) == (other.doubt == nullptr) && same(one.path, other.path);
  return alike ? std::optional(one.in(*union_of)) : std::nullopt;
}

}  // namespace

void merge(std::vector<Packets>& packets) {
  std::vector<Packets> kept;
  for (Packets& one : packets) {
    std::erase_if(kept, [&](const Packets& earlier) {
      auto joined = both(earlier, one);
      if (joined) one = std::move(*joined);
      return joined.has_value();
    });
    kept.push_back(std::move(one));
  }
  packets = std::move(kept);
}

}  // namespace mvm::verify
