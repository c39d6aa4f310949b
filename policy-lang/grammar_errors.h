// What is said when a rule of grammar.h does not match: why, and what would make it pass. Each rule that must match has its
// message here, or parse.cc does not compile.
#pragma once

#include <string>
#include <string_view>

#include "policy-lang/describe.h"
#include "policy-lang/grammar.h"

namespace mvm::lang::grammar {

// Thrown inside parse() and caught there.
struct Fault {
  const char* at = nullptr;  // the byte of the text that is wrong
  std::string why;
  std::string remedy;
};

// Where and in what a rule did not match.
struct Mismatch {
  std::string_view rest;  // of the text, from the wrong byte
  const Place& place;
};

[[nodiscard]] Fault fault_in_line(const Mismatch& mismatch);        // cut short, or too long
[[nodiscard]] Fault fault_in_word(const Mismatch& mismatch);        // no word where one is due
[[nodiscard]] Fault fault_in_field_name(const Mismatch& mismatch);  // missing, unknown, twice, or not in order
[[nodiscard]] Fault fault_in_value(const Mismatch& mismatch);
[[nodiscard]] Fault fault_in_move(const Mismatch& mismatch);
[[nodiscard]] Fault fault_in_first_line(const Mismatch& mismatch);
[[nodiscard]] Fault fault_at_end_of_line(const Mismatch& mismatch);
[[nodiscard]] Fault fault_in_space(const Mismatch& mismatch);

[[nodiscard]] inline Fault say(const Mismatch& mismatch, std::string_view why, std::string_view remedy) {
  return {mismatch.rest.data(), std::string(why), std::string(remedy)};
}

inline constexpr std::string_view kNameRemedy =
    "write a lower-case letter and up to 31 lower-case letters, digits or '-', the last of them no '-'";
inline constexpr std::string_view kDigestRemedy = "write sha256: and 64 lower-case hex digits";
inline constexpr std::string_view kHeaderRemedy = "write the lines of the header in their order, each once";

template <class Rule>
Fault fault(const Mismatch&) = delete;
#define MVM_SAY(rule, why, remedy) \
  template <>                      \
  inline Fault fault<rule>(const Mismatch& m) { return say(m, why, remedy); }

MVM_SAY(slash, "'/' is expected here", "write the subject as TENANT, TENANT/POOL or TENANT/POOL/INSTANCE, as the word wants it")
MVM_SAY(tenant, "this is no name of a tenant", kNameRemedy)
MVM_SAY(pool, "this is no name of a pool", kNameRemedy)
MVM_SAY(instance, "this is no name of an instance", "write i- and 8 lower-case hex digits")
MVM_SAY(equals, "'=' is expected here", "write each field as name=value, without spaces")
MVM_SAY(arrow, "'>' is expected here", "write a move as before>after")
MVM_SAY(sign, "a statement of a plan begins with its sign", "begin it with '+ ', '- ' or '~ '; the last line with 'end '")
MVM_SAY(node_keyword, "the line with the node is expected here", kHeaderRemedy)
MVM_SAY(node, "this is no name of a node", kNameRemedy)
MVM_SAY(flake_keyword, "the line with the flake is expected here", kHeaderRemedy)
MVM_SAY(flake, "this is no reference to a flake", "write a lower-case letter and up to 159 letters, digits or any of -._~:/?#@+=&%")
MVM_SAY(generation_keyword, "the line with the generation is expected here", kHeaderRemedy)
MVM_SAY(generation, "this is no generation", "write a number of at most 16 digits")
MVM_SAY(desired_keyword, "the line with the digest of the projection ('desired') is expected here", kHeaderRemedy)
MVM_SAY(desired, "this is no digest", kDigestRemedy)
MVM_SAY(desired_or_none, "this is neither a digest nor none", kDigestRemedy)
MVM_SAY(base_keyword, "the line with the digest of the state ('base') is expected here", kHeaderRemedy)
MVM_SAY(base, "this is no digest", kDigestRemedy)
MVM_SAY(end_digest, "this is no digest", kDigestRemedy)
MVM_SAY(peg::eof, "the text goes on after its last line", "end the text with the line feed of its 'end' line")
#undef MVM_SAY

template <>
inline Fault fault<whole_line>(const Mismatch& m) { return fault_in_line(m); }
template <>
inline Fault fault<word>(const Mismatch& m) { return fault_in_word(m); }
template <>
inline Fault fault<field_name>(const Mismatch& m) { return fault_in_field_name(m); }
template <>
inline Fault fault<value>(const Mismatch& m) { return fault_in_value(m); }
template <>
inline Fault fault<before>(const Mismatch& m) { return fault_in_move(m); }
template <>
inline Fault fault<after>(const Mismatch& m) { return fault_in_move(m); }
template <>
inline Fault fault<magic>(const Mismatch& m) { return fault_in_first_line(m); }
template <>
inline Fault fault<line_feed>(const Mismatch& m) { return fault_at_end_of_line(m); }
template <>
inline Fault fault<space>(const Mismatch& m) { return fault_in_space(m); }

template <class Rule>
struct control : peg::normal<Rule> {
  template <class Input, class State>
  [[noreturn]] static void raise(const Input& in, State&& state) {
    throw fault<Rule>(Mismatch{{in.current(), in.size(0)}, state});
  }
};

}  // namespace mvm::lang::grammar
