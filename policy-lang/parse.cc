#include "policy-lang/parse.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "policy-lang/grammar.h"
#include "policy-lang/grammar_errors.h"
#include "policy-lang/print.h"

namespace mvm::lang {
namespace {

using grammar::Fault;

// The document as far as it has been read, and where the next value goes.
struct Builder : grammar::Place {
  std::string_view text;
  Document document;
  Statement* statement = nullptr;  // the last of `document`
  std::size_t digests = 0;         // of `statement`, that have been read
  Subnet subnet;

  [[nodiscard]] std::size_t index() const { return static_cast<std::size_t>(field - row->fields.data()); }
  void set_number(std::uint64_t number) { statement->numbers[index()] = number; }
  void set_digest(const Digest& digest) {
    statement->numbers[index()] = 1;
    statement->digests[digests++] = digest;
  }
  void set_no_digest() {
    statement->numbers[index()] = 0;
    ++digests;
  }
  void begin_statement(const char* at) {
    if (document.statements.size() == kMaxStatements) {
      throw Fault{at, "the text has more than " + std::to_string(kMaxStatements) + " statements", "take fewer instances on this node, or several plans"};
    }
    statement = &document.statements.emplace_back();
    digests = 0;
  }
};

constexpr std::array<std::int8_t, 256> kHexValues = [] {
  std::array<std::int8_t, 256> values{};
  for (int i = 0; i < 10; ++i) values[static_cast<std::size_t>('0' + i)] = static_cast<std::int8_t>(i);
  for (int i = 0; i < 6; ++i) values[static_cast<std::size_t>('a' + i)] = static_cast<std::int8_t>(10 + i);
  return values;
}();

std::uint8_t hex_value(char c) { return static_cast<std::uint8_t>(kHexValues[static_cast<unsigned char>(c)]); }

// The last 64 characters of what matched; the grammar has seen that they are hex digits.
template <class Input>
Digest digest_at_end(const Input& in) {
  const char* hex = in.end() - kDigestHex;
  Digest digest;
  for (std::uint8_t& byte : digest.bytes) {
    byte = static_cast<std::uint8_t>(hex_value(hex[0]) << 4 | hex_value(hex[1]));
    hex += 2;
  }
  return digest;
}

[[noreturn]] void refuse_number(std::string_view digits, std::uint64_t min, std::uint64_t max) {
  throw Fault{digits.data(), digits[0] == '0' && digits.size() > 1 ? "the number has a leading zero" : "the number is out of its range",
              "write a number from " + std::to_string(min) + " to " + std::to_string(max) + ", without a leading zero"};
}

// At most 16 digits, so no sum overflows.
std::uint64_t bounded(std::string_view digits, std::uint64_t min, std::uint64_t max) {
  std::uint64_t value = 0;
  for (const char c : digits) value = value * 10 + static_cast<std::uint64_t>(c - '0');
  const bool leading_zero = digits[0] == '0' && digits.size() > 1;
  if (leading_zero || value < min || value > max) refuse_number(digits, min, max);
  return value;
}

// The grammar takes a '-' at the end of a name, as it looks no further than it has come; here it is refused.
template <class Input>
Name name_of(const Input& in) {
  const auto name = Name::from(in.string_view());
  if (!name) throw Fault{in.end() - 1, "a name does not end with '-'", std::string(grammar::kNameRemedy)};
  return *name;
}

std::uint64_t index_of_word(std::string_view word, const Field& field) {
  for (std::size_t i = 0; i < field.words.size(); ++i) {
    if (field.words[i] == word) return i;
  }
  throw Fault{word.data(), "'" + std::string(word) + "' is no value of the field '" + std::string(field.name) + "'",
              "write " + describe(field)};
}

void find_word(std::string_view word, Builder& b) {
  b.begin_statement(word.data());
  b.row = find_row(word);
  b.field = nullptr;
  if (b.row == nullptr) throw Fault{word.data(), "there is no word '" + std::string(word) + "'", "take a word of the table (mvm primitives)"};
  if (!b.row->in[static_cast<std::size_t>(b.kind)]) {
    throw Fault{word.data(), "'" + std::string(word) + "' does not stand in a " + std::string(to_string(b.kind)), "leave it out"};
  }
  if (b.kind == Kind::kPlan && !has_sign(b.row->signs, b.sign)) {
    throw Fault{word.data() - 2, "'" + std::string(word) + "' does not take this sign", "see the signs that it takes in the table (mvm primitives)"};
  }
  b.statement->word = b.row->word;
  b.statement->sign = b.sign;
}

// Of a sorted kind: this statement comes after the one before, and does not say again what may be said once.
void check_order(const char* line, const Builder& b) {
  const auto& all = b.document.statements;
  if (b.kind == Kind::kPlan || all.size() < 2) return;
  const Statement& before = all[all.size() - 2];
  const Statement& last = all.back();
  const bool same_thing = before.word == last.word && before.subject == last.subject;
  if (before == last || (same_thing && !b.row->many)) {
    throw Fault{line, "the statement stands twice", "write '" + std::string(b.row->name) + "' once for this subject"};
  }
  if (!canonical_less(before, last)) {
    throw Fault{line, "the statement is not in canonical order",
                "sort the statements by subject, then in the order of the table (mvm plan fmt does)"};
  }
}

// ---- what is made of what matched

template <class Rule>
struct action : tao::pegtl::nothing<Rule> {};

#define MVM_ON(rule)                                \
  template <>                                       \
  struct action<grammar::rule> {                    \
    template <class Input>                          \
    static void apply(const Input& in, Builder& b); \
  };                                                \
  template <class Input>                            \
  void action<grammar::rule>::apply([[maybe_unused]] const Input& in, Builder& b)

MVM_ON(node) { b.document.header.node = name_of(in); }
MVM_ON(flake) { b.document.header.flake = FlakeRef::from(in.string_view()).value_or(FlakeRef()); }
MVM_ON(generation) {
  const bool may_be_zero = b.kind == Kind::kState;
  b.document.header.generation = bounded(in.string_view(), may_be_zero ? 0 : 1, kMaxGeneration);
}
MVM_ON(desired) {
  b.document.header.has_desired = true;
  b.document.header.desired = digest_at_end(in);
}
MVM_ON(base) { b.document.header.base = digest_at_end(in); }

MVM_ON(sign) { b.sign = *in.begin() == '+' ? Sign::kAdd : *in.begin() == '-' ? Sign::kRemove : Sign::kMove; }
MVM_ON(word) { find_word(in.string_view(), b); }
MVM_ON(tenant) {
  b.statement->subject.kind = b.row->subject;
  b.statement->subject.tenant = name_of(in);
}
MVM_ON(pool) { b.statement->subject.pool = name_of(in); }
MVM_ON(instance) {
  std::uint32_t value = 0;
  for (const char* c = in.begin() + 2; c != in.end(); ++c) value = value << 4 | hex_value(*c);
  b.statement->subject.instance.value = value;
}

MVM_ON(field_number) { b.set_number(bounded(in.string_view(), b.field->min, b.field->max)); }
MVM_ON(field_word) { b.set_number(index_of_word(in.string_view(), *b.field)); }
MVM_ON(field_digest) { b.set_digest(digest_at_end(in)); }
MVM_ON(field_none) { b.set_no_digest(); }
MVM_ON(public_key) { b.set_digest(digest_at_end(in)); }
MVM_ON(boot_cold) { b.set_no_digest(); }
MVM_ON(octet) { b.subnet.base = b.subnet.base << 8 | static_cast<std::uint32_t>(bounded(in.string_view(), 0, 255)); }
MVM_ON(prefix) { b.subnet.prefix = static_cast<std::uint8_t>(bounded(in.string_view(), kMinPrefix, kMaxPrefix)); }
MVM_ON(subnet) {
  if (!b.subnet.aligned()) throw Fault{in.begin(), "the network has host bits that are not zero", "write the network's first address"};
  b.set_number(b.subnet.packed());
}
MVM_ON(key_tenant) { b.statement->key_tenant = name_of(in); }
MVM_ON(key_version) { b.set_number(bounded(in.string_view(), 1, b.field->max)); }
MVM_ON(key_none) {
  if (b.statement->key_tenant.view() != kNoneText) {
    throw Fault{in.begin(), "the key has no version", "write " + describe(*b.field)};
  }
  b.statement->key_tenant = {};
  b.set_number(0);
}
MVM_ON(state_before) { b.statement->numbers[0] = index_of_word(in.string_view(), moved_field(*b.row)); }
MVM_ON(state_after) { b.statement->numbers[1] = index_of_word(in.string_view(), moved_field(*b.row)); }
MVM_ON(version_before) { b.statement->numbers[0] = bounded(in.string_view(), 1, moved_field(*b.row).max); }
MVM_ON(version_after) { b.statement->numbers[1] = bounded(in.string_view(), 1, moved_field(*b.row).max); }
MVM_ON(statement) { check_order(in.begin(), b); }

MVM_ON(end_word) { b.field = nullptr; }
MVM_ON(end_digest) {
  const std::size_t above = static_cast<std::size_t>(in.begin() - b.text.data()) - std::string_view("end ").size();
  const Digest digest = sha256(b.text.substr(0, above));
  if (digest_at_end(in) != digest) {
    throw Fault{in.begin(), "this is not the digest of the text above", "take the text as it was made; its digest is " + to_string(digest)};
  }
}
#undef MVM_ON

// ---- from the outside

template <class Text>
void read(Builder& b) {
  namespace peg = tao::pegtl;
  peg::memory_input<peg::tracking_mode::lazy, peg::eol::lf, const char*> in(b.text.data(), b.text.data() + b.text.size(), "");
  static_cast<void>(peg::parse<Text, action, grammar::control>(in, b));
}

// As many as there are lines.
std::size_t statements_at_most(std::string_view text) {
  std::size_t lines = 0;
  for (std::size_t at = text.find('\n'); at != std::string_view::npos && lines < kMaxStatements; at = text.find('\n', at + 1)) ++lines;
  return lines;
}

Refusal locate(const Fault& fault, std::string_view text) {
  const std::size_t at = static_cast<std::size_t>(fault.at - text.data());
  const std::size_t begin = at == 0 ? 0 : text.rfind('\n', at - 1) + 1;
  const std::size_t end = std::min(text.find('\n', at), text.size());
  const auto lines = std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(begin), '\n');
  return {.rule = Rule::kForm,
          .line = static_cast<std::uint32_t>(lines + 1),
          .column = static_cast<std::uint32_t>(at - begin + 1),
          .statement = printable(text.substr(begin, end - begin)),
          .why = fault.why,
          .remedy = fault.remedy};
}

}  // namespace

Checked<Document> parse(Kind kind, std::string_view text) {
  if (text.size() > kMaxTextBytes) {
    return std::unexpected(Refusal{.rule = Rule::kForm,
                                   .statement = {},
                                   .why = "the text is longer than " + std::to_string(kMaxTextBytes) + " bytes",
                                   .remedy = "take fewer statements"});
  }
  if (text.data() == nullptr) text = "";
  Builder b;
  b.kind = kind;
  b.text = text;
  b.document.kind = kind;
  b.document.statements.reserve(statements_at_most(text));
  try {
    switch (kind) {
      case Kind::kProjection: read<grammar::projection>(b); break;
      case Kind::kState: read<grammar::state>(b); break;
      case Kind::kPlan: read<grammar::plan>(b); break;
      case Kind::kPolicy: read<grammar::policy>(b); break;
      case Kind::kManifest: read<grammar::manifest>(b); break;
    }
  } catch (const Fault& fault) {
    return std::unexpected(locate(fault, text));
  }
  return std::move(b.document);
}

}  // namespace mvm::lang
