// A small reader, matcher and generator for ABNF (RFC 5234, and %s of RFC 7405): a test's tool that shares nothing with the
// parser. Slow and simple: matching keeps the set of all places where a rule could end, so it needs no luck with choices.
#pragma once

#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace mvm::abnf {

struct Node {
  enum class Kind : std::uint8_t { kChoice, kSequence, kRepeat, kText, kRange, kRule };
  Kind kind = Kind::kText;
  std::vector<Node> parts;   // of a choice or sequence; the one that a repetition repeats
  std::string text;          // what is matched, byte for byte; or the name of the rule, in lower case
  std::size_t min = 1, max = 1;            // times
  unsigned char low = 0, high = 0;  // bytes of a range, both included
};

class Grammar {
 public:
  // Ends the process, with the place, where the page is not ABNF or names a rule that it does not have.
  explicit Grammar(std::string_view page);

  [[nodiscard]] bool matches(std::string_view rule, std::string_view text) const;
  // A sentence of the rule: choices even, repetitions without an upper bound at most `most` times.
  [[nodiscard]] std::string draw(std::string_view rule, std::mt19937_64& random, std::size_t most = 6) const;
  [[nodiscard]] const Node* find(std::string_view rule) const;
  // The lines of a rule as they stand on the page, its comments included.
  [[nodiscard]] std::string lines_of(std::string_view rule) const;
  // All texts that stand in the rule itself, in order; not those of the rules that it names.
  [[nodiscard]] std::vector<std::string> texts_in(std::string_view rule) const;
  // The names of the rules that stand in the rule itself, in order.
  [[nodiscard]] std::vector<std::string> rules_in(std::string_view rule) const;

 private:
  std::map<std::string, Node, std::less<>> rules_;
  std::map<std::string, std::string, std::less<>> lines_;
};

}  // namespace mvm::abnf
