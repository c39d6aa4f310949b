#include "tests/policy-lang/abnf.h"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <set>

namespace mvm::abnf {
namespace {

constexpr std::size_t kUnbounded = std::numeric_limits<std::size_t>::max();

[[noreturn]] void stop(std::string_view why, std::string_view where) {
  std::fprintf(stderr, "not ABNF: %.*s at: %.*s\n", static_cast<int>(why.size()), why.data(), static_cast<int>(std::min<std::size_t>(where.size(), 60)), where.data());
  std::abort();
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

// Reads the elements of one rule (RFC 5234, section 4), comments already taken out.
class Reader {
 public:
  explicit Reader(std::string_view rest) : rest_(rest) {}

  Node choice() {
    Node node{.kind = Node::Kind::kChoice, .parts = {sequence()}, .text = {}};
    while (take('/')) node.parts.push_back(sequence());
    return node.parts.size() == 1 ? Node(node.parts[0]) : node;
  }
  void must_be_done() {
    skip_space();
    if (!rest_.empty()) stop("this does not belong to a rule", rest_);
  }

 private:
  void skip_space() {
    const std::size_t at = rest_.find_first_not_of(" \n");
    rest_.remove_prefix(std::min(at, rest_.size()));
  }
  bool take(char c) {
    skip_space();
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  Node sequence() {
    Node node{.kind = Node::Kind::kSequence, .parts = {}, .text = {}};
    for (skip_space(); !rest_.empty() && rest_.front() != '/' && rest_.front() != ')' && rest_.front() != ']'; skip_space()) {
      node.parts.push_back(repetition());
    }
    if (node.parts.empty()) stop("an element is missing", rest_);
    return node;
  }
  std::size_t number(int base) {
    std::size_t value = 0;
    const auto digit = [&](char c) -> int {
      if (c >= '0' && c <= '9') return c - '0';
      return base == 16 && std::isxdigit(static_cast<unsigned char>(c)) ? std::tolower(c) - 'a' + 10 : -1;
    };
    if (rest_.empty() || digit(rest_.front()) < 0) stop("a number is missing", rest_);
    for (; !rest_.empty() && digit(rest_.front()) >= 0; rest_.remove_prefix(1)) {
      value = value * static_cast<std::size_t>(base) + static_cast<std::size_t>(digit(rest_.front()));
    }
    return value;
  }
  bool at_digit() const { return !rest_.empty() && std::isdigit(static_cast<unsigned char>(rest_.front())) != 0; }
  Node repetition() {
    const bool counted = at_digit() || rest_.front() == '*';
    std::size_t min = at_digit() ? number(10) : 0, max = min;
    if (!rest_.empty() && rest_.front() == '*') {
      rest_.remove_prefix(1);
      max = at_digit() ? number(10) : kUnbounded;
    }
    if (!counted) return element();
    return {.kind = Node::Kind::kRepeat, .parts = {element()}, .text = {}, .min = min, .max = max};
  }
  Node element() {
    if (take('(')) {
      Node inner = choice();
      if (!take(')')) stop("')' is missing", rest_);
      return inner;
    }
    if (take('[')) {
      Node inner{.kind = Node::Kind::kRepeat, .parts = {choice()}, .text = {}, .min = 0, .max = 1};
      if (!take(']')) stop("']' is missing", rest_);
      return inner;
    }
    if (rest_.starts_with("%s\"")) {
      rest_.remove_prefix(3);
      return quoted(true);
    }
    if (rest_.starts_with('"')) {
      rest_.remove_prefix(1);
      return quoted(false);
    }
    if (rest_.starts_with("%x")) return bytes();
    return rule_name();
  }
  Node quoted(bool exact) {
    const std::size_t end = rest_.find('"');
    if (end == std::string_view::npos) stop("a quote does not end", rest_);
    Node node{.kind = Node::Kind::kText, .parts = {}, .text = std::string(rest_.substr(0, end))};
    // Without %s a string stands for both cases of its letters; this page may use that for what has none.
    if (!exact && std::ranges::any_of(node.text, [](unsigned char c) { return std::isalpha(c) != 0; })) stop("letters want %s", rest_);
    rest_.remove_prefix(end + 1);
    return node;
  }
  Node bytes() {
    rest_.remove_prefix(2);
    const auto low = static_cast<unsigned char>(number(16));
    unsigned char high = low;
    if (!rest_.empty() && rest_.front() == '-') {
      rest_.remove_prefix(1);
      high = static_cast<unsigned char>(number(16));
    }
    return {.kind = Node::Kind::kRange, .parts = {}, .text = {}, .low = low, .high = high};
  }
  Node rule_name() {
    const auto is_part = [](unsigned char c) { return std::isalnum(c) != 0 || c == '-'; };
    const auto end = std::ranges::find_if_not(rest_, is_part);
    const auto length = static_cast<std::size_t>(end - rest_.begin());
    if (length == 0) stop("an element is missing", rest_);
    Node node{.kind = Node::Kind::kRule, .parts = {}, .text = lower(rest_.substr(0, length))};
    rest_.remove_prefix(length);
    return node;
  }

  std::string_view rest_;
};

std::string without_comment(std::string_view line) {
  bool quoted = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '"') quoted = !quoted;
    if (line[i] == ';' && !quoted) return std::string(line.substr(0, i));
  }
  return std::string(line);
}

template <class Visit>
void walk(const Node& node, Visit visit) {
  visit(node);
  for (const Node& part : node.parts) walk(part, visit);
}

using Places = std::set<std::size_t>;

// All places where `node` can end that begins at `at`.
Places ends(const Grammar& grammar, const Node& node, std::string_view text, std::size_t at) {
  switch (node.kind) {
    case Node::Kind::kText: return text.substr(at).starts_with(node.text) ? Places{at + node.text.size()} : Places{};
    case Node::Kind::kRange: {
      if (at == text.size()) return {};
      const auto byte = static_cast<unsigned char>(text[at]);
      return byte >= node.low && byte <= node.high ? Places{at + 1} : Places{};
    }
    case Node::Kind::kRule: return ends(grammar, *grammar.find(node.text), text, at);
    case Node::Kind::kChoice: {
      Places all;
      for (const Node& part : node.parts) all.merge(ends(grammar, part, text, at));
      return all;
    }
    case Node::Kind::kSequence: {
      Places from = {at};
      for (const Node& part : node.parts) {
        Places next;
        for (const std::size_t place : from) next.merge(ends(grammar, part, text, place));
        from = std::move(next);
        if (from.empty()) return from;
      }
      return from;
    }
    case Node::Kind::kRepeat: break;
  }
  Places all = node.min == 0 ? Places{at} : Places{}, from = {at}, seen = from;
  for (std::size_t times = 1; times <= node.max && !from.empty(); ++times) {
    Places next;
    for (const std::size_t place : from) {
      for (const std::size_t end : ends(grammar, node.parts[0], text, place)) {
        if (node.max != kUnbounded || seen.insert(end).second) next.insert(end);
      }
    }
    if (times >= node.min) all.insert(next.begin(), next.end());
    from = std::move(next);
  }
  return all;
}

void draw_node(const Grammar& grammar, const Node& node, std::mt19937_64& random, std::size_t most, std::string& out) {
  const auto below = [&](std::size_t bound) { return static_cast<std::size_t>(random() % bound); };
  switch (node.kind) {
    case Node::Kind::kText: out += node.text; return;
    case Node::Kind::kRange: out += static_cast<char>(node.low + below(static_cast<std::size_t>(node.high - node.low) + 1)); return;
    case Node::Kind::kRule: draw_node(grammar, *grammar.find(node.text), random, most, out); return;
    case Node::Kind::kChoice: draw_node(grammar, node.parts[below(node.parts.size())], random, most, out); return;
    case Node::Kind::kSequence:
      for (const Node& part : node.parts) draw_node(grammar, part, random, most, out);
      return;
    case Node::Kind::kRepeat: break;
  }
  const std::size_t max = node.max == kUnbounded ? std::max(most, node.min) : node.max;
  for (std::size_t times = node.min + below(max - node.min + 1); times > 0; --times) draw_node(grammar, node.parts[0], random, most, out);
}

}  // namespace

Grammar::Grammar(std::string_view page) {
  // The core rules of RFC 5234, appendix B.1, that are used.
  std::string text = "SP = %x20\nLF = %x0A\nDIGIT = %x30-39\n";
  text += page;
  std::string name, elements, lines;
  const auto finish = [&] {
    if (name.empty()) return;
    Reader reader(elements);
    Node node = reader.choice();
    reader.must_be_done();
    if (!rules_.emplace(name, std::move(node)).second) stop("a rule stands twice", name);
    lines_.emplace(name, lines);
  };
  while (!text.empty()) {
    const std::size_t length = std::min(text.find('\n'), text.size() - 1) + 1;
    const std::string line = text.substr(0, length), bare = without_comment(line.substr(0, line.find('\n')));
    text.erase(0, length);
    if (line.front() == ';' || line.front() == '\n') continue;
    if (line.front() == ' ') {
      elements += bare + "\n";
      lines += line;
      continue;
    }
    finish();
    const std::size_t equals = bare.find('=');
    if (equals == std::string::npos) stop("'=' is missing", line);
    name = lower(bare.substr(0, bare.find(' ')));
    elements = bare.substr(equals + 1) + "\n";
    lines = line;
  }
  finish();
  for (const auto& [rule, node] : rules_) {
    walk(node, [&](const Node& each) {
      if (each.kind == Node::Kind::kRule && find(each.text) == nullptr) stop("there is no such rule", each.text);
    });
  }
}

const Node* Grammar::find(std::string_view rule) const {
  const auto found = rules_.find(lower(rule));
  return found == rules_.end() ? nullptr : &found->second;
}

std::string Grammar::lines_of(std::string_view rule) const {
  const auto found = lines_.find(lower(rule));
  return found == lines_.end() ? std::string() : found->second;
}

bool Grammar::matches(std::string_view rule, std::string_view text) const {
  return ends(*this, *find(rule), text, 0).contains(text.size());
}

std::string Grammar::draw(std::string_view rule, std::mt19937_64& random, std::size_t most) const {
  std::string out;
  draw_node(*this, *find(rule), random, most, out);
  return out;
}

std::vector<std::string> Grammar::texts_in(std::string_view rule) const {
  std::vector<std::string> texts;
  walk(*find(rule), [&](const Node& node) {
    if (node.kind == Node::Kind::kText) texts.push_back(node.text);
  });
  return texts;
}

std::vector<std::string> Grammar::rules_in(std::string_view rule) const {
  std::vector<std::string> names;
  walk(*find(rule), [&](const Node& node) {
    if (node.kind == Node::Kind::kRule) names.push_back(node.text);
  });
  return names;
}

}  // namespace mvm::abnf
