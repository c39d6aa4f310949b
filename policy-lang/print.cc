#include "policy-lang/print.h"

#include <charconv>

namespace mvm::lang {
namespace {

void append_number(std::string& text, std::uint64_t number) {
  char digits[20];
  const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
  text.append(digits, end);
}

void append_hex(std::string& text, const Digest& digest) {
  static constexpr char kHex[] = "0123456789abcdef";
  char hex[kDigestHex];
  for (std::size_t i = 0; i < digest.bytes.size(); ++i) {
    hex[2 * i] = kHex[digest.bytes[i] >> 4];
    hex[2 * i + 1] = kHex[digest.bytes[i] & 15];
  }
  text.append(hex, sizeof hex);
}

void append_digest(std::string& text, const Digest& digest) {
  text += kDigestPrefix;
  append_hex(text, digest);
}

void append_subnet(std::string& text, const Subnet& subnet) {
  for (int shift = 24; shift >= 0; shift -= 8) {
    append_number(text, subnet.base >> shift & 255);
    text += shift == 0 ? '/' : '.';
  }
  append_number(text, subnet.prefix);
}

void append_key(std::string& text, const Name& tenant, std::uint64_t version) {
  text += tenant.view();
  text += '/';
  append_number(text, version);
}

void append_subject(std::string& text, const Subject& subject) {
  if (subject.kind == SubjectKind::kNone) return;
  text += ' ';
  text += subject.tenant.view();
  if (subject.kind == SubjectKind::kTenant) return;
  text += '/';
  text += subject.pool.view();
  if (subject.kind == SubjectKind::kPool) return;
  text += "/i-";
  static constexpr char kHex[] = "0123456789abcdef";
  for (int shift = 28; shift >= 0; shift -= 4) text += kHex[subject.instance.value >> shift & 15];
}

// A value that its field has no word for cannot come from parse(); it is printed as what nobody parses.
std::string_view word_of(const Field& field, std::uint64_t value) {
  return value < field.words.size() ? field.words[value] : std::string_view("?");
}

// `digest`: where the field's digest is, if it is of a kind that has one.
void append_value(std::string& text, const Statement& s, const Field& field, std::uint64_t number, std::size_t digest) {
  using enum FieldKind;
  switch (field.kind) {
    case kNumber: append_number(text, number); return;
    case kWord: text += word_of(field, number); return;
    case kSubnet: append_subnet(text, Subnet::unpack(number)); return;
    case kPublicKey: text += kPublicKeyPrefix; append_hex(text, s.digests[digest]); return;
    case kKey:
    case kKeyOrNone:
      if (number == 0) text += kNoneText;
      else append_key(text, s.key_tenant, number);
      return;
    case kBoot:
      if (number == kBootCold) {
        text += kColdText;
        return;
      }
      text += kSnapshotPrefix;
      break;
    case kDigest:
    case kDigestOrNone:
      if (number == 0) {
        text += kNoneText;
        return;
      }
      break;
  }
  append_digest(text, s.digests[digest]);
}

void append_statement(std::string& text, const Statement& s) {
  static constexpr std::string_view kSigns[] = {"", "+ ", "- ", "~ "};
  const Row& what = row(s.word);
  text += kSigns[static_cast<std::size_t>(s.sign)];
  text += what.name;
  append_subject(text, s.subject);
  if (s.sign == Sign::kMove && !what.moves.empty()) {
    const Field& field = moved_field(what);
    text += ' ';
    text += word_of(field, s.numbers[0]);
    text += '>';
    text += word_of(field, s.numbers[1]);
    return;
  }
  std::size_t digest = 0;
  for (std::size_t i = 0; i < what.fields.size(); ++i) {
    const Field& field = what.fields[i];
    text += ' ';
    text += field.name;
    text += '=';
    append_value(text, s, field, s.numbers[i], digest);
    digest += holds_digest(field.kind);
  }
}

void append_header(std::string& text, const Document& document) {
  const Header& header = document.header;
  text += "mvm-";
  text += to_string(document.kind);
  text += document.kind == Kind::kManifest ? " 1\nflake " : " 1\nnode ";
  text += document.kind == Kind::kManifest ? header.flake.view() : header.node.view();
  text += '\n';
  if (document.kind == Kind::kPolicy || document.kind == Kind::kManifest) return;
  text += "generation ";
  append_number(text, header.generation);
  text += '\n';
  if (document.kind == Kind::kProjection) return;
  text += "desired ";
  if (header.has_desired) append_digest(text, header.desired);
  else text += kNoneText;
  text += '\n';
  if (document.kind != Kind::kPlan) return;
  text += "base ";
  append_digest(text, header.base);
  text += '\n';
}

// All bytes above the `end` line.
std::string print_body(const Document& document) {
  std::string text;
  text.reserve(512 + document.statements.size() * 96);
  append_header(text, document);
  for (const Statement& statement : document.statements) {
    append_statement(text, statement);
    text += '\n';
  }
  return text;
}

}  // namespace

std::string print(const Document& document) {
  std::string text = print_body(document);
  if (document.kind == Kind::kPolicy) return text += "end\n";
  const Digest digest = sha256(text);
  text += "end ";
  append_digest(text, digest);
  return text += '\n';
}

std::string print(const Statement& statement) {
  std::string text;
  append_statement(text, statement);
  return text;
}

Digest text_digest(const Document& document) { return sha256(print_body(document)); }

Digest snapshot_digest(const Statement& snapshot) {
  Statement in_state = snapshot;
  in_state.sign = Sign::kNone;
  return sha256(print(in_state));
}

std::string strip_comments(std::string_view policy_text) {
  std::string text;
  text.reserve(policy_text.size());
  while (!policy_text.empty()) {
    const std::size_t line_feed = policy_text.find('\n');
    const std::size_t length = line_feed == std::string_view::npos ? policy_text.size() : line_feed + 1;
    const std::string_view line = policy_text.substr(0, length);
    if (line.front() != '#' && line != "\n") text += line;
    policy_text.remove_prefix(length);
  }
  return text;
}

}  // namespace mvm::lang
