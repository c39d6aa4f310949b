#include "net-verify/space/match.h"

#include <bit>
#include <map>
#include <optional>

namespace mvm::verify {
namespace {

struct Constraint {
  std::uint64_t mask = 0, wanted = 0;
};

struct Gathered {
  bool possible = true;
  Certainty certainty = Certainty::kExact;
  std::map<Field, Constraint> fields;
};

void doubt(Certainty& certainty, Certainty more) { certainty = std::max(certainty, more); }

// What each byte's being equal to its constant asks of the fields.
Gathered gather(std::span<const Byte> bytes, Constant value) {
  Gathered all;
  for (std::size_t i = 0; i < bytes.size() && all.possible; ++i) {
    const Byte& byte = bytes[i];
    const auto wanted = static_cast<std::uint8_t>(value[i] ^ byte.value);
    if (byte.kind == ByteKind::kSenders) doubt(all.certainty, Certainty::kSenders);
    if (byte.kind == ByteKind::kUnknown) doubt(all.certainty, Certainty::kUnknown);
    if (byte.kind == ByteKind::kConstant) all.possible = wanted == 0;
    if (byte.kind != ByteKind::kField) continue;
    if ((wanted & ~byte.mask) != 0) all.possible = false;
    Constraint& of = all.fields[byte.field];
    const std::uint64_t mask = std::uint64_t{byte.mask} << byte.shift, bits = std::uint64_t{wanted} << byte.shift;
    if (((of.wanted ^ bits) & of.mask & mask) != 0) all.possible = false;  // one byte, twice, with two values
    of.mask |= mask;
    of.wanted |= bits;
  }
  return all;
}

std::vector<Box> cut(const std::vector<Box>& boxes, Field field, const std::vector<Interval>& intervals) {
  std::vector<Box> made;
  for (const Box& box : boxes)
    for (const Interval& interval : intervals)
      if (const Box inside = box.within(field, interval); !inside.of(field).empty()) made.push_back(inside);
  return made;
}

std::vector<Interval> states_with(std::uint64_t mask, std::uint64_t wanted) {
  std::vector<Interval> found;
  for (std::uint64_t state = 0; state <= shape(Field::kState).most; ++state)
    if ((state_bits(state) & mask) == wanted) found.push_back({state, state});
  return found;
}

// The field that the bytes are the whole of, in order and unmasked.
std::optional<Field> whole_field(std::span<const Byte> bytes) {
  if (bytes.empty() || bytes[0].kind != ByteKind::kField || bytes[0].field == Field::kState) return std::nullopt;
  const Field field = bytes[0].field;
  if (bytes.size() > shape(field).bytes) return std::nullopt;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const Byte& byte = bytes[i];
    const bool fits = byte.kind == ByteKind::kField && byte.field == field && byte.mask == 0xff && byte.value == 0 &&
                      byte.shift == 8 * (shape(field).bytes - 1 - i);
    if (!fits) return std::nullopt;
  }
  return field;
}

std::uint64_t number(Constant bytes) {
  std::uint64_t value = 0;
  for (const std::uint8_t byte : bytes) value = value << 8 | byte;
  return value;
}

bool all_constant(std::span<const Byte> bytes) {
  return std::ranges::all_of(bytes, [](const Byte& byte) { return byte.kind == ByteKind::kConstant; });
}

int order(std::span<const Byte> bytes, Constant value) {
  for (std::size_t i = 0; i < bytes.size(); ++i)
    if (bytes[i].value != value[i]) return bytes[i].value < value[i] ? -1 : 1;
  return 0;
}

}  // namespace

std::vector<Byte> bytes_of(Field field) {
  const FieldShape& of = shape(field);
  std::vector<Byte> bytes;
  for (unsigned i = 0; i < of.bytes; ++i)
    bytes.push_back({ByteKind::kField, field, static_cast<std::uint8_t>(8 * (of.host_order ? i : of.bytes - 1 - i)), 0xff, 0});
  return bytes;
}

std::uint64_t state_bits(std::uint64_t state) {
  switch (state) {
    case kInvalid: return 1;
    case kEstablished: return 2;
    case kRelated: return 4;
    case kNew: return 8;
    default: return 64;
  }
}

std::optional<std::vector<Interval>> masked_equal(Field field, std::uint64_t mask, std::uint64_t wanted) {
  if (field == Field::kState) return states_with(mask, wanted);
  if (mask == 0) return wanted == 0 ? std::vector{Interval{0, shape(field).most}} : std::vector<Interval>{};
  // The free bits below the mask are a run; each free bit above its lowest doubles the number of runs.
  const std::uint64_t below = (mask & -mask) - 1, free = shape(field).most & ~mask & ~below;
  if (std::popcount(free) > std::countr_zero(kMaxIntervals)) return std::nullopt;
  std::vector<Interval> found;
  std::uint64_t choice = 0;
  do {
    found.push_back({wanted | choice, wanted | choice | (below & shape(field).most)});
    choice = (choice - free) & free;  // the next subset of the free bits
  } while (choice != 0);
  return found;
}

Condition equals(const Box& box, std::span<const Byte> bytes, Constant value) {
  const Gathered all = gather(bytes, value);
  Condition condition{{box}, all.certainty};
  if (!all.possible) return {};
  for (const auto& [field, constraint] : all.fields) {
    const auto intervals = masked_equal(field, constraint.mask, constraint.wanted);
    if (intervals) condition.holds = cut(condition.holds, field, *intervals);
    else doubt(condition.certainty, Certainty::kUnknown);
    if (condition.holds.size() > kMaxIntervals) return {{box}, Certainty::kUnknown};
  }
  if (condition.holds.empty()) return {};
  return condition;
}

Condition between(const Box& box, std::span<const Byte> bytes, Constant low, Constant high) {
  if (all_constant(bytes)) {
    if (order(bytes, low) < 0 || order(bytes, high) > 0) return {};
    return {{box}, Certainty::kExact};
  }
  if (const auto field = whole_field(bytes)) {
    const unsigned rest = 8 * (shape(*field).bytes - static_cast<unsigned>(bytes.size()));
    const Interval wanted{number(low) << rest, (number(high) << rest) | ((std::uint64_t{1} << rest) - 1)};
    const Box inside = box.within(*field, wanted);
    return inside.empty() ? Condition{} : Condition{{inside}, Certainty::kExact};
  }
  const bool senders = std::ranges::all_of(bytes, [](const Byte& b) { return b.kind == ByteKind::kSenders || b.kind == ByteKind::kConstant; });
  return {{box}, senders ? Certainty::kSenders : Certainty::kUnknown};
}

std::vector<Box> without(const Box& box, const std::vector<Box>& taken) {
  std::vector<Box> left = {box};
  for (const Box& one : taken) {
    std::vector<Box> next;
    for (const Box& rest : left) {
      const std::vector<Box> parts = subtract(rest, one);
      next.insert(next.end(), parts.begin(), parts.end());
    }
    left = std::move(next);
  }
  return left;
}

}  // namespace mvm::verify
