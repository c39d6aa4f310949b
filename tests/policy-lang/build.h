// Values for tests, written as lines. Driven by the table, and independent of parse(): a digest may be written d1, d2, ...
// (32 bytes of that number). A line that is not one ends the test program.
#pragma once

#include <charconv>
#include <cstdlib>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include "policy-lang/statement.h"

namespace mvm::lang::build {

[[noreturn]] inline void bad(std::string_view what, std::string_view text) {
  std::cerr << "tests: " << what << ": " << text << "\n";
  std::abort();
}

inline std::vector<std::string_view> split(std::string_view text, char by) {
  std::vector<std::string_view> parts;
  for (;;) {
    const auto end = text.find(by);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

inline std::uint64_t number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) bad("not a number", text);
  return value;
}

inline Name name(std::string_view text) {
  const auto name = Name::from(text);
  if (!name) bad("not a name", text);
  return *name;
}

inline Digest digest(std::string_view text) {
  if (const auto full = parse_digest(text)) return *full;
  if (!text.starts_with('d')) bad("not a digest", text);
  Digest digest;
  digest.bytes.fill(static_cast<std::uint8_t>(number(text.substr(1))));
  return digest;
}

inline std::uint64_t subnet(std::string_view text) {
  const auto parts = split(text, '/');
  const auto bytes = split(parts.at(0), '.');
  Subnet subnet{.base = 0, .prefix = static_cast<std::uint8_t>(number(parts.at(1)))};
  for (const auto byte : bytes) subnet.base = subnet.base << 8 | static_cast<std::uint32_t>(number(byte));
  return subnet.packed();
}

inline Subject subject(SubjectKind kind, std::string_view text) {
  const auto parts = split(text, '/');
  if (parts.size() != static_cast<std::size_t>(kind)) bad("another kind of subject", text);
  if (kind == SubjectKind::kTenant) return tenant_subject(name(parts[0]));
  if (kind == SubjectKind::kPool) return pool_subject(name(parts[0]), name(parts[1]));
  const auto id = InstanceId::from(parts[2]);
  if (!id) bad("not an instance id", text);
  return instance_subject(name(parts[0]), name(parts[1]), *id);
}

inline std::uint64_t word_index(std::span<const std::string_view> words, std::string_view text) {
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i] == text) return i;
  }
  bad("not one of the field's words", text);
}

inline void set_field(Statement& statement, std::size_t index, std::size_t& digests, std::string_view value) {
  const Field& field = row(statement.word).fields[index];
  std::uint64_t& number_of = statement.numbers[index];
  switch (field.kind) {
    case FieldKind::kNumber: number_of = number(value); return;
    case FieldKind::kWord: number_of = word_index(field.words, value); return;
    case FieldKind::kSubnet: number_of = subnet(value); return;
    case FieldKind::kKey:
    case FieldKind::kKeyOrNone:
      if (value == "none") return;
      statement.key_tenant = name(split(value, '/').at(0));
      number_of = number(split(value, '/').at(1));
      return;
    case FieldKind::kBoot:
      if (value.starts_with("snapshot:")) value.remove_prefix(std::string_view("snapshot:").size());
      else value = "none";
      [[fallthrough]];
    default:
      number_of = value != "none";
      if (value != "none") statement.digests[digests] = digest(value);
      ++digests;
  }
}

inline Statement line(std::string_view text) {
  auto words = split(text, ' ');
  Statement statement;
  if (const auto sign = std::string_view("+-~").find(words[0]); sign != std::string_view::npos) {
    statement.sign = static_cast<Sign>(sign + 1);
    words.erase(words.begin());
  }
  const Row* found = find_row(words[0]);
  if (found == nullptr) bad("not a word", text);
  statement.word = found->word;
  std::size_t next = 1;
  if (found->subject != SubjectKind::kNone) statement.subject = subject(found->subject, words.at(next++));
  if (statement.sign == Sign::kMove) {
    const auto ends = split(words.at(next), '>');
    const auto& states = found->word == Word::kJail ? kJailStates : kGuestStates;
    for (std::size_t i = 0; i < 2; ++i) {
      statement.numbers[i] = found->word == Word::kVolume ? number(ends.at(i)) : word_index(states, ends.at(i));
    }
    return statement;
  }
  if (words.size() - next != found->fields.size()) bad("another number of fields", text);
  std::size_t digests = 0;
  for (std::size_t i = 0; i < found->fields.size(); ++i) {
    const std::string_view word = words[next + i];
    const auto equals = word.find('=');
    if (word.substr(0, equals) != found->fields[i].name) bad("another field", text);
    set_field(statement, i, digests, word.substr(equals + 1));
  }
  return statement;
}

using Texts = std::vector<std::string>;

inline std::vector<Statement> lines(const Texts& texts) {
  std::vector<Statement> statements;
  for (const std::string& text : texts) statements.push_back(line(text));
  return statements;
}

// Sorted kinds are sorted here, so tests may write lines in any order.
inline Document document(Kind kind, const Texts& texts) {
  Document document{kind, {}, lines(texts)};
  if (kind != Kind::kPlan) std::ranges::sort(document.statements, canonical_less);
  return document;
}

inline Texts operator+(Texts left, const Texts& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

inline Texts signed_with(std::string_view sign, Texts texts) {
  for (std::string& text : texts) text = std::string(sign) + " " + text;
  return texts;
}
inline Texts plus(Texts texts) { return signed_with("+", std::move(texts)); }
// Last first.
inline Texts minus(Texts texts) {
  std::ranges::reverse(texts);
  return signed_with("-", std::move(texts));
}

}  // namespace mvm::lang::build
