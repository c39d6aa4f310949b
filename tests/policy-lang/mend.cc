#include "tests/policy-lang/mend.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "tests/policy-lang/forms.h"

namespace mvm::lang::test {
namespace {

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == separator) parts.emplace_back();
    else parts.back() += c;
  }
  return parts;
}

std::string join(const std::vector<std::string>& parts, char separator) {
  std::string text;
  for (const std::string& part : parts) text += (&part == &parts.front() ? "" : std::string(1, separator)) + part;
  return text;
}

std::string into(const std::string& digits, std::uint64_t min, std::uint64_t max) {
  const std::uint64_t value = std::stoull(digits);
  return value >= min && value <= max ? digits : std::to_string(min + value % (max - min + 1));
}

std::string mend_name(std::string name) {
  if (!name.empty() && name.back() == '-') name.back() = 'x';
  return name;
}

std::string mend_subject(const std::string& subject) {
  auto parts = split(subject, '/');
  for (std::string& part : parts) part = mend_name(part);
  return join(parts, '/');
}

std::uint64_t address_of(const std::string& subnet) {
  std::uint64_t address = 0;
  for (const std::string& octet : split(split(subnet, '/')[0], '.')) address = address << 8 | std::stoull(octet);
  return address;
}

std::string mend_subnet(const std::string& subnet) {
  const std::string prefix = split(subnet, '/')[1];
  const std::uint64_t address = address_of(subnet), size = std::uint64_t{1} << (32 - std::stoull(prefix));
  return ipv4_to_string(static_cast<std::uint32_t>(address - address % size)) + "/" + prefix;
}

std::string mend_value(const Field& field, const std::string& value) {
  switch (field.kind) {
    case FieldKind::kNumber: return into(value, field.min, field.max);
    case FieldKind::kSubnet: return mend_subnet(value);
    case FieldKind::kKey:
    case FieldKind::kKeyOrNone: {
      const auto parts = split(value, '/');
      return parts.size() == 1 ? value : mend_name(parts[0]) + "/" + into(parts[1], 1, field.max);
    }
    default: return value;
  }
}

std::string mend_statement(const std::string& line, Kind kind) {
  auto words = split(line, ' ');
  const std::size_t at = kind == Kind::kPlan ? 1 : 0;
  const Row& row = *find_row(words[at]);
  std::size_t next = at + 1;
  if (row.subject != SubjectKind::kNone) {
    words[next] = mend_subject(words[next]);
    ++next;
  }
  if (line.starts_with('~')) {
    const auto moved = split(words[next], '>');
    if (moved_field(row).words.empty()) words[next] = into(moved[0], 1, moved_field(row).max) + ">" + into(moved[1], 1, moved_field(row).max);
    return join(words, ' ');
  }
  for (std::size_t i = 0; i < row.fields.size(); ++i) {
    const std::size_t equals = words[next + i].find('=') + 1;
    words[next + i] = words[next + i].substr(0, equals) + mend_value(row.fields[i], words[next + i].substr(equals));
  }
  return join(words, ' ');
}

std::string mend_header(const std::string& line, Kind kind) {
  const auto words = split(line, ' ');
  if (words[0] == "node") return "node " + mend_name(words[1]);
  if (words[0] == "generation") return "generation " + into(words[1], kind == Kind::kState ? 0 : 1, kMaxGeneration);
  return line;
}

// What a statement of a sorted kind is sorted by: subject, row, and value where a row may stand several times.
struct SortKey {
  std::vector<std::string> subject;
  std::size_t row;
  std::uint64_t address;
  std::string value;
  auto operator<=>(const SortKey&) const = default;
};

SortKey sort_key(const std::string& line) {
  const auto words = split(line, ' ');
  const Row& row = *find_row(words[0]);
  SortKey key{{}, static_cast<std::size_t>(row.word), 0, {}};
  if (row.subject != SubjectKind::kNone) key.subject = split(words[1], '/');
  if (!row.many) return key;
  const std::string value = words[1].substr(words[1].find('=') + 1);
  if (row.fields[0].kind == FieldKind::kSubnet) key.address = address_of(value) << 8 | std::stoull(split(value, '/')[1]);
  else key.value = value;
  return key;
}

std::size_t header_lines(Kind kind) {
  if (kind == Kind::kPolicy || kind == Kind::kManifest) return 2;
  if (kind == Kind::kProjection) return 3;
  return kind == Kind::kState ? 4 : 5;
}

}  // namespace

std::string mend_end(const std::string& text) {
  const std::size_t end = text.rfind("\nend ");
  return end == std::string::npos ? text : with_end(text.substr(0, end + 1));
}

std::string mend(Kind kind, const std::string& text) {
  std::vector<std::string> lines = split(text, '\n'), statements;
  std::vector<std::size_t> places;  // of the statements among the lines
  std::size_t header = 0;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (lines[i].empty() || lines[i][0] == '#') continue;
    if (lines[i] == "end" || lines[i].starts_with("end ")) break;
    if (++header <= header_lines(kind)) {
      lines[i] = mend_header(lines[i], kind);
      continue;
    }
    places.push_back(i);
    statements.push_back(mend_statement(lines[i], kind));
  }
  if (kind != Kind::kPlan) {
    std::ranges::sort(statements, {}, sort_key);
    const auto repeated = std::ranges::unique(statements, {}, sort_key);
    statements.erase(repeated.begin(), repeated.end());
  }
  for (std::size_t i = 0; i < statements.size(); ++i) lines[places[i]] = statements[i];
  for (std::size_t i = places.size(); i > statements.size(); --i) lines.erase(lines.begin() + static_cast<std::ptrdiff_t>(places[i - 1]));
  const std::string mended = join(lines, '\n');
  return kind == Kind::kPolicy ? mended : mend_end(mended);
}

}  // namespace mvm::lang::test
