#include "broker/jail/guest_memory.h"

#include <algorithm>
#include <charconv>
#include <numeric>

namespace mvm::jail {
namespace {

std::string_view take_until(std::string_view& text, char end) {
  const auto at = text.find(end);
  const std::string_view taken = text.substr(0, at);
  text.remove_prefix(at == std::string_view::npos ? text.size() : at + 1);
  return taken;
}

std::optional<std::uint64_t> hexadecimal(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// "7f0000000000-7f0000021000 rw-p 00000000 00:00 0 [NAME]": the inode of what is anonymous is 0.
struct Line {
  Mapping mapping;
  bool ours = false;  // private, to be read and written
};
std::optional<Line> read_line(std::string_view line) {
  const auto begin = hexadecimal(take_until(line, '-')), end = hexadecimal(take_until(line, ' '));
  const std::string_view rights = take_until(line, ' ');
  (void)take_until(line, ' ');
  const std::string_view device = take_until(line, ' '), inode = take_until(line, ' ');
  if (!begin || !end || *begin >= *end || rights.size() != 4 || device.empty() || inode.empty()) return std::nullopt;
  return Line{{*begin, *end, inode == "0"}, rights == "rw-p"};
}

// Mappings as they come one behind the other, from an address on.
class Run {
 public:
  Run(std::span<const Mapping> mappings, std::uint64_t from) : mappings_(mappings), from_(from) {}
  [[nodiscard]] bool covers(std::uint64_t bytes) const {
    return each(bytes, [](const Mapping&) { return true; });
  }
  [[nodiscard]] bool anonymous(std::uint64_t bytes) const {
    return each(bytes, [](const Mapping& mapping) { return mapping.anonymous; });
  }

 private:
  template <class Is>
  [[nodiscard]] bool each(std::uint64_t bytes, Is is) const {
    std::uint64_t reached = from_;
    for (const Mapping& mapping : mappings_) {
      if (reached - from_ >= bytes) break;
      if (mapping.end <= reached) continue;
      if (mapping.begin > reached || !is(mapping)) return false;
      reached = mapping.end;
    }
    return reached - from_ >= bytes;
  }
  std::span<const Mapping> mappings_;
  std::uint64_t from_;
};

class Search {
 public:
  Search(std::span<const Mapping> mappings, std::uint64_t bytes, const ReadRoot& read) : mappings_(mappings), bytes_(bytes), read_(read) {}

  // The kernel may have joined the stretch with whatever lies next to it: it begins where a mapping begins, or ends where one ends. A stretch above the hole
  // is mapped after the one below it, and so lies just before it or somewhere by itself.
  std::vector<GuestMemory> all() {
    for (const std::uint64_t hole : kHoles) {
      const std::uint64_t low = std::min(bytes_, hole), high = bytes_ - low;
      for (const Mapping& mapping : mappings_) {
        if (high == 0) {
          consider({{{mapping.begin, low}, {}}});
          if (mapping.end >= low) consider({{{mapping.end - low, low}, {}}});
        } else {
          consider({{{mapping.begin + high, low}, {mapping.begin, high}}});
          if (mapping.end - mapping.begin == low) beside(mapping, high);
        }
      }
    }
    return std::move(found_);
  }

 private:
  void beside(const Mapping& low, std::uint64_t high) {
    for (const Mapping& other : mappings_) {
      if (other.end - other.begin == high) consider({{{low.begin, low.end - low.begin}, {other.begin, high}}});
    }
  }
  void consider(const std::array<Stretch, 2>& stretches) {
    GuestMemory memory{stretches, true};
    for (const Stretch& each : stretches) {
      const Run run(mappings_, each.at);
      if (each.bytes != 0 && !run.covers(each.bytes)) return;
      memory.anonymous = memory.anonymous && (each.bytes == 0 || run.anonymous(each.bytes));
    }
    if (stretches[0].bytes <= kAcpiRoot || std::ranges::find(found_, memory) != found_.end()) return;
    const auto root = read_(stretches[0].at + kAcpiRoot);
    if (root && is_acpi_root(*root)) found_.push_back(memory);
  }

  std::span<const Mapping> mappings_;
  std::uint64_t bytes_;
  const ReadRoot& read_;
  std::vector<GuestMemory> found_;
};

}  // namespace

Result<std::vector<Mapping>> read_mappings(std::string_view maps) {
  std::vector<Mapping> found;
  while (!maps.empty()) {
    const auto line = read_line(take_until(maps, '\n'));
    if (!line) return fail(Errc::kMalformed, "read what a VMM has mapped");
    if (!line->ours) continue;
    if (found.size() == kMaxMappings) return fail(Errc::kLimit, "read what a VMM has mapped");
    found.push_back(line->mapping);
  }
  return found;
}

bool is_acpi_root(std::span<const std::uint8_t, kAcpiRootBytes> bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return text.starts_with("RSD PTR ") && text.substr(9, 6) == "FIRECK" && std::accumulate(bytes.begin(), bytes.end(), 0U) % 256 == 0;
}

Result<GuestMemory> find_guest_memory(std::span<const Mapping> mappings, std::uint64_t bytes, const ReadRoot& read) {
  const auto found = Search(mappings, bytes, read).all();
  if (found.size() == 1) return found.front();
  return fail(Errc::kNotFound, "find the guest's memory in its VMM, which could be in " + std::to_string(found.size()) + " places");
}

}  // namespace mvm::jail
