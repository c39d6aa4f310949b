// The grammar of all five kinds of text, as PEGTL rules, and nothing else: its messages are in grammar_errors.h, what is
// made of what matched in parse.cc. The same language as GRAMMAR.abnf; tests/policy-lang/abnf_test.cc holds them together.
// No recursion, and no rule looks further ahead than one token. Which words there are, and which fields a word has, is not
// written here: `subject`, `fields` and `value` follow the row of the table that `word` found.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <string_view>
#include <tao/pegtl.hpp>
#include <tao/pegtl/contrib/analyze_traits.hpp>

#include "base/flake_ref.h"
#include "policy-lang/table.h"

namespace mvm::lang::grammar {

namespace peg = tao::pegtl;

// Where in the table the text must go on. The actions of `sign` and `word` set the row; the rules move through its fields.
struct Place {
  Kind kind = Kind::kState;
  Sign sign = Sign::kNone;
  const Row* row = nullptr;      // of the statement that is being read
  const Field* field = nullptr;  // of `row`, that is being read
};

// ---- five rules that PEGTL does not have: four follow the table, and one reads characters of a kind all at once

// As many characters as Char takes, up to Max; at least Min.
template <class Char, std::size_t Min, std::size_t Max>
struct run {
  using rule_t = run;
  using subs_t = peg::empty_list;
  static constexpr std::array<bool, 256> kTaken = [] {
    std::array<bool, 256> taken{};
    for (std::size_t c = 0; c < taken.size(); ++c) taken[c] = Char::test(static_cast<char>(c));
    return taken;
  }();
  template <class Input>
  static bool match(Input& in) {
    const char* const begin = in.current();
    const std::size_t most = std::min(in.size(Max), Max);
    std::size_t size = 0;
    while (size < most && kTaken[static_cast<unsigned char>(begin[size])]) ++size;
    if (size < Min) return false;
    in.bump_in_this_line(size);
    return true;
  }
};

// The text that Text(place) gives.
template <auto Text>
struct spelled {
  using rule_t = spelled;
  using subs_t = peg::empty_list;
  template <peg::apply_mode A, peg::rewind_mode M, template <class...> class Action, template <class...> class Control,
            class Input, class State>
  static bool match(Input& in, State& state) {
    const std::string_view text = Text(state);
    if (in.size(text.size()) < text.size() || std::memcmp(in.current(), text.data(), text.size()) != 0) return false;
    in.bump_in_this_line(text.size());
    return true;
  }
};

// The rule with the number Which(place): a choice without a look ahead.
template <auto Which, class... Rules>
struct chosen {
  using rule_t = chosen;
  using subs_t = peg::type_list<Rules...>;
  template <peg::apply_mode A, peg::rewind_mode M, template <class...> class Action, template <class...> class Control,
            class Input, class State>
  static bool match(Input& in, State& state) {
    const std::size_t which = Which(state);
    std::size_t at = 0;
    bool matched = false;
    static_cast<void>(
        ((at++ == which && (matched = Control<Rules>::template match<A, M, Action, Control>(in, state), true)) || ...));
    return matched;
  }
};

// Rule, once for each field of the row, with `field` set to it.
template <class Rule>
struct each_field {
  using rule_t = each_field;
  using subs_t = peg::type_list<Rule>;
  template <peg::apply_mode A, peg::rewind_mode M, template <class...> class Action, template <class...> class Control,
            class Input, class State>
  static bool match(Input& in, State& state) {
    for (const Field& field : state.row->fields) {
      state.field = &field;
      if (!Control<Rule>::template match<A, M, Action, Control>(in, state)) return false;
    }
    return true;
  }
};

// The rest of the line, its line feed included, is there and not longer than kMaxLineBytes. Consumes nothing.
struct whole_line {
  using rule_t = whole_line;
  using subs_t = peg::empty_list;
  template <peg::apply_mode A, peg::rewind_mode M, template <class...> class Action, template <class...> class Control,
            class Input, class State>
  static bool match(Input& in, State&) {
    return std::memchr(in.current(), '\n', std::min(in.size(0), kMaxLineBytes + 1)) != nullptr;
  }
};

inline std::string_view name_of_kind(const Place& place) { return to_string(place.kind); }
inline std::string_view name_of_field(const Place& place) { return place.field->name; }
inline std::size_t kind_of_field(const Place& place) { return static_cast<std::size_t>(place.field->kind); }
inline std::size_t kind_of_subject(const Place& place) { return static_cast<std::size_t>(place.row->subject); }
inline std::size_t is_move(const Place& place) { return place.sign == Sign::kMove; }
inline std::size_t moves_a_key(const Place& place) { return moved_field(*place.row).kind == FieldKind::kKeyOrNone; }

// ---- tokens

struct space : peg::one<' '> {};
struct line_feed : peg::one<'\n'> {};
struct slash : peg::one<'/'> {};
struct dot : peg::one<'.'> {};
struct equals : peg::one<'='> {};
struct arrow : peg::one<'>'> {};
struct name_char : peg::ranges<'a', 'z', '0', '9', '-'> {};
struct name : peg::seq<peg::at<peg::lower>, run<name_char, 1, kMaxName>, peg::not_at<name_char>> {};
struct hex : peg::ranges<'0', '9', 'a', 'f'> {};
struct hex_256 : run<hex, 64, 64> {};
inline constexpr unsigned kMaxDigits = 16;  // of kMaxGeneration, the greatest number there is
struct number : peg::seq<run<peg::digit, 1, kMaxDigits>, peg::not_at<peg::digit>> {};
struct digest : peg::seq<peg::string<'s', 'h', 'a', '2', '5', '6', ':'>, hex_256> {};
struct none : peg::string<'n', 'o', 'n', 'e'> {};

// ---- subjects

struct tenant : name {};
struct pool : name {};
struct instance : peg::seq<peg::string<'i', '-'>, run<hex, 8, 8>> {};
struct of_tenant : peg::must<space, tenant> {};
struct of_pool : peg::must<space, tenant, slash, pool> {};
struct of_instance : peg::must<space, tenant, slash, pool, slash, instance> {};
struct subject : chosen<kind_of_subject, peg::success, of_tenant, of_pool, of_instance> {};

// ---- fields

struct field_number : number {};
struct field_word : run<peg::lower, 1, kMaxLineBytes> {};
struct field_digest : digest {};
struct field_none : none {};
struct digest_or_none : peg::sor<field_none, field_digest> {};
struct public_key : peg::seq<peg::string<'e', 'd', '2', '5', '5', '1', '9', ':'>, hex_256> {};
struct octet : run<peg::digit, 1, 3> {};
struct prefix : run<peg::digit, 1, 2> {};
struct subnet : peg::seq<octet, dot, octet, dot, octet, dot, octet, slash, prefix> {};
struct key_tenant : name {};
struct key_version : number {};
struct key : peg::seq<key_tenant, slash, key_version> {};
struct key_none : peg::success {};  // no version follows the name; the action takes the name "none" and no other
struct key_or_none : peg::seq<key_tenant, peg::if_then_else<slash, key_version, key_none>> {};
struct boot_cold : peg::string<'c', 'o', 'l', 'd'> {};
struct boot_snapshot : peg::seq<peg::string<'s', 'n', 'a', 'p', 's', 'h', 'o', 't', ':'>, field_digest> {};
struct boot : peg::sor<boot_cold, boot_snapshot> {};
struct value  // in the order of FieldKind
    : chosen<kind_of_field, field_number, field_word, field_digest, digest_or_none, public_key, subnet, key, key_or_none, boot> {};

struct field_name : spelled<name_of_field> {};
struct field : peg::must<space, field_name, equals, value> {};
struct state_before : run<peg::lower, 1, kMaxLineBytes> {};
struct state_after : run<peg::lower, 1, kMaxLineBytes> {};
struct version_before : number {};
struct version_after : number {};
struct before : chosen<moves_a_key, state_before, version_before> {};
struct after : chosen<moves_a_key, state_after, version_after> {};
struct move : peg::must<space, before, arrow, after> {};
struct body : chosen<is_move, each_field<field>, move> {};

// ---- lines

struct sign : peg::one<'+', '-', '~'> {};
struct word : run<peg::alpha, 1, kMaxLineBytes> {};
struct plan_statement
    : peg::seq<peg::must<whole_line, sign, space, word>, subject, body, peg::must<line_feed>> {};
struct statement : peg::seq<peg::must<whole_line, word>, subject, each_field<field>, peg::must<line_feed>> {};

struct kind_word : spelled<name_of_kind> {};
struct magic : peg::seq<peg::string<'m', 'v', 'm', '-'>, kind_word, space, peg::one<'1'>> {};
struct first_line : peg::must<whole_line, magic, line_feed> {};
struct node : name {};
struct node_keyword : peg::string<'n', 'o', 'd', 'e', ' '> {};
struct node_line : peg::must<whole_line, node_keyword, node, line_feed> {};
struct flake_char : peg::sor<peg::alnum, peg::one<'-', '.', '_', '~', ':', '/', '?', '#', '@', '+', '=', '&', '%'>> {};
struct flake : peg::seq<peg::lower, peg::rep_opt<kMaxFlakeRef - 1, flake_char>, peg::not_at<flake_char>> {};
struct flake_keyword : peg::string<'f', 'l', 'a', 'k', 'e', ' '> {};
struct flake_line : peg::must<whole_line, flake_keyword, flake, line_feed> {};
struct generation : number {};
struct generation_keyword : peg::string<'g', 'e', 'n', 'e', 'r', 'a', 't', 'i', 'o', 'n', ' '> {};
struct generation_line : peg::must<whole_line, generation_keyword, generation, line_feed> {};
struct desired : digest {};
struct desired_or_none : peg::sor<none, desired> {};
struct desired_keyword : peg::string<'d', 'e', 's', 'i', 'r', 'e', 'd', ' '> {};
template <class Digest>
struct desired_line : peg::must<whole_line, desired_keyword, Digest, line_feed> {};
struct base : digest {};
struct base_keyword : peg::string<'b', 'a', 's', 'e', ' '> {};
struct base_line : peg::must<whole_line, base_keyword, base, line_feed> {};

struct end_word : peg::seq<peg::string<'e', 'n', 'd'>, peg::at<peg::one<' ', '\n'>>> {};  // no word of the table is "end"
struct end_digest : digest {};
struct end_line : peg::must<space, end_digest, line_feed, peg::eof> {};

// ---- texts

struct projection
    : peg::seq<first_line, node_line, generation_line, peg::until<end_word, statement>, end_line> {};
struct state : peg::seq<first_line, node_line, generation_line, desired_line<desired_or_none>,
                        peg::until<end_word, statement>, end_line> {};
struct plan : peg::seq<first_line, node_line, generation_line, desired_line<desired>, base_line,
                       peg::until<end_word, plan_statement>, end_line> {};

struct manifest : peg::seq<first_line, flake_line, peg::until<end_word, statement>, end_line> {};

// A policy is written by people: comment lines and empty lines may stand anywhere between its lines.
struct comment : peg::seq<peg::one<'#'>, peg::star<peg::not_one<'\n'>>, peg::opt<line_feed>> {};
struct gap : peg::star<peg::sor<comment, line_feed>> {};
struct policy : peg::seq<gap, first_line, gap, node_line, gap, peg::until<end_word, statement, gap>,
                         peg::must<line_feed>, gap, peg::must<peg::eof>> {};

}  // namespace mvm::lang::grammar

namespace tao::pegtl {

// What analyze() needs to know of the rules above that are not PEGTL's own.
template <class Name, class Char, std::size_t Min, std::size_t Max>
struct analyze_traits<Name, mvm::lang::grammar::run<Char, Min, Max>> : analyze_any_traits<> {
  static_assert(Min != 0, "it takes a character, or does not match");
};
template <class Name, auto Text>
struct analyze_traits<Name, mvm::lang::grammar::spelled<Text>> : analyze_any_traits<> {};
template <class Name, auto Which, class... Rules>
struct analyze_traits<Name, mvm::lang::grammar::chosen<Which, Rules...>> : analyze_sor_traits<Rules...> {};
template <class Name, class Rule>
struct analyze_traits<Name, mvm::lang::grammar::each_field<Rule>> : analyze_opt_traits<Rule> {};
template <class Name>
struct analyze_traits<Name, mvm::lang::grammar::whole_line> : analyze_opt_traits<> {};

}  // namespace tao::pegtl
