#include "policy-lang/grammar_errors.h"

#include <algorithm>

namespace mvm::lang::grammar {
namespace {

constexpr std::string_view kFieldChars = "abcdefghijklmnopqrstuvwxyz";

std::string in_quotes(std::string_view text) { return "'" + std::string(text) + "'"; }

}  // namespace

Fault fault_in_line(const Mismatch& m) {
  if (m.rest.empty()) return say(m, "the text ends before its 'end' line", "take the whole text, up to the line feed of 'end'");
  if (m.rest.size() <= kMaxLineBytes) return say(m, "the last line has no line feed", "end every line with a line feed");
  return say(m, "the line is longer than " + std::to_string(kMaxLineBytes) + " bytes", "no statement needs a line that long");
}

Fault fault_in_word(const Mismatch& m) {
  return say(m, "a word is expected here", "begin the statement with a word of the table (mvm primitives)");
}

Fault fault_in_field_name(const Mismatch& m) {
  const Field& due = *m.place.field;
  const auto fields = m.place.row->fields;
  const std::string_view found = m.rest.substr(0, m.rest.find_first_not_of(kFieldChars));
  const auto known = std::ranges::find(fields, found, &Field::name);
  const std::string remedy = "write " + std::string(due.name) + "=, " + describe(due);
  if (found.empty()) return say(m, "the field " + in_quotes(due.name) + " is expected here", remedy);
  if (known == fields.end()) {
    return say(m, in_quotes(m.place.row->name) + " has no such field here; " + in_quotes(due.name) + " is expected", remedy);
  }
  if (&*known < &due) return say(m, "the field " + in_quotes(found) + " is written twice", remedy);
  return say(m, "the field " + in_quotes(due.name) + " is missing before " + in_quotes(found), remedy);
}

Fault fault_in_value(const Mismatch& m) {
  return say(m, "this is no value of the field " + in_quotes(m.place.field->name), "write " + describe(*m.place.field));
}

Fault fault_in_move(const Mismatch& m) {
  const Field& field = moved_field(*m.place.row);
  if (field.kind != FieldKind::kWord) return say(m, "a version of a key is expected here", "write a number from 1 to " + std::to_string(field.max));
  return say(m, "a state is expected here", "write " + one_of(field.words));
}

Fault fault_in_first_line(const Mismatch& m) {
  const std::string line = "mvm-" + std::string(to_string(m.place.kind)) + " 1";
  return say(m, "the text does not begin with the line " + in_quotes(line), "begin it with that line; see that it is of the right kind");
}

Fault fault_at_end_of_line(const Mismatch& m) {
  if (m.rest.empty()) return say(m, "the last line has no line feed", "end every line with a line feed");
  if (m.rest.starts_with("\r")) return say(m, "the line ends with a carriage return", "end every line with a line feed alone");
  return say(m, "the line goes on where it should end", "write each field once, one space between words, and none at the end");
}

Fault fault_in_space(const Mismatch& m) {
  if (m.place.field != nullptr && m.rest.starts_with("\n")) {
    return say(m, "the line ends before the field " + in_quotes(m.place.field->name),
               "write " + std::string(m.place.field->name) + "=, " + describe(*m.place.field));
  }
  return say(m, "a space is expected here", "write one space between words, and each value as its field wants it");
}

}  // namespace mvm::lang::grammar
