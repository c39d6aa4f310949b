// A gate as an attacker who has taken it would have it: lying_gate LIE. Speaks gate's protocol on descriptor 3.
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "policy-lang/parse.h"
#include "schemas/plan.h"
#include "tests/gate/texts.h"

namespace mvm {
namespace {

constexpr int kChannel = 3;
using Bytes = std::vector<std::uint8_t>;
using lang::Document;

void put(const void* bytes, std::size_t size) {
  if (send(kChannel, bytes, size, MSG_NOSIGNAL) != static_cast<ssize_t>(size)) _exit(1);
}

void get(void* bytes, std::size_t size) {
  if (size > 0 && recv(kChannel, bytes, size, MSG_WAITALL) != static_cast<ssize_t>(size)) _exit(1);
}

std::pair<lang::Kind, std::string> request() {
  wire::GateRequest header;
  get(&header, sizeof header);
  std::string text(header.length, '\0');
  get(text.data(), text.size());
  return {static_cast<lang::Kind>(header.kind), text};
}

void answer(const Bytes& bytes, std::uint32_t length) {
  const wire::GateReply reply{length};
  put(&reply, sizeof reply);
  if (!bytes.empty()) put(bytes.data(), bytes.size());
}

void answer(const Bytes& bytes) { answer(bytes, static_cast<std::uint32_t>(bytes.size())); }

// The document that was asked for, changed.
void answer_changed(const std::function<void(Document&)>& change) {
  const auto [kind, text] = request();
  auto parsed = lang::parse(kind, text);
  if (parsed) change(*parsed);
  answer(wire::encode_parsed(parsed));
}

// Whatever was asked, this.
void answer_with(const Document& document) {
  request();
  answer(wire::encode_parsed(document));
}

lang::Statement& first(Document& document, lang::Word word) {
  for (auto& statement : document.statements) {
    if (statement.word == word) return statement;
  }
  _exit(2);
}

Bytes honest_bytes() {
  const auto [kind, text] = request();
  return wire::encode_parsed(lang::parse(kind, text));
}

void answer_twice(const Bytes& bytes) {
  const wire::GateReply reply{static_cast<std::uint32_t>(bytes.size())};
  const auto* start = reinterpret_cast<const std::uint8_t*>(&reply);
  Bytes twice;
  for (int i = 0; i < 2; ++i) {
    twice.insert(twice.end(), start, start + sizeof reply);
    twice.insert(twice.end(), bytes.begin(), bytes.end());
  }
  put(twice.data(), twice.size());
}

void drip(const Bytes& bytes) {
  answer({}, static_cast<std::uint32_t>(bytes.size()));
  for (const std::uint8_t byte : bytes) {
    put(&byte, 1);
    usleep(20'000);
  }
}

void answer_with_last_digest_changed() {
  answer_changed([](Document& d) {
    d.statements.push_back(d.statements.back());
    d.statements.back().digests[0].bytes[31] ^= 128;
  });
}

using Change = void (*)(Document&);
const std::map<std::string_view, Change> kChanges = {
    {"honest", [](Document&) {}},
    {"swaps-a-slot", [](Document& d) { first(d, lang::Word::kTap).numbers[0] = 6; }},
    {"adds-a-statement", [](Document& d) { d.statements.push_back(d.statements.front()); }},
    {"drops-a-statement", [](Document& d) { d.statements.pop_back(); }},
    {"drops-them-all", [](Document& d) { d.statements.clear(); }},
    {"swaps-two-statements", [](Document& d) { std::swap(d.statements[0], d.statements[1]); }},
    {"raises-a-quota", [](Document& d) { first(d, lang::Word::kTenant).numbers[2] = 32; }},
    {"changes-an-image", [](Document& d) { first(d, lang::Word::kJail).digests[0].bytes[31] ^= 1; }},
    {"names-another-tenant", [](Document& d) { first(d, lang::Word::kTap).subject.tenant = *Name::from("zeta"); }},
    {"turns-a-sign", [](Document& d) { first(d, lang::Word::kTap).sign = lang::Sign::kRemove; }},
    {"names-another-node", [](Document& d) { d.header.node = *Name::from("node-8"); }},
    {"raises-the-generation", [](Document& d) { ++d.header.generation; }},
    {"changes-the-base", [](Document& d) { d.header.base.bytes[0] ^= 1; }},
};

using Act = void (*)();
const std::map<std::string_view, Act> kActs = {
    {"adds-a-coordinator", answer_with_last_digest_changed},
    {"answers-another-kind", [] { answer_with(test::a_state()); }},
    {"accepts-a-slot-out-of-bounds", [] { answer_with(test::with_a_slot_out_of_bounds()); }},
    {"accepts-what-is-out-of-order", [] { answer_with(test::out_of_order()); }},
    {"accepts-a-line-twice", [] { answer_with(test::with_a_line_twice()); }},
    {"accepts-a-tenant-twice", [] { answer_with(test::with_a_tenant_twice()); }},
    {"accepts-a-word-of-another-kind", [] { answer_with(test::with_a_word_of_another_kind()); }},
    {"accepts-another-spelling", [] { answer_with(test::a_plan()); }},
    {"refuses-by-a-rule-that-is-not-its-own",
     [] {
       request();
       answer(wire::encode_parsed(std::unexpected(lang::Refusal{lang::Rule::kAuthority, 1, 1, "x", "y", "z"})));
     }},
    {"sends-garbage", [] { request(), answer(Bytes(4096, 0xa5)); }},
    {"sends-zeros", [] { request(), answer(Bytes(64, 0)); }},
    {"sends-nothing-as-an-answer", [] { request(), answer({}); }},
    {"flips-a-bit",
     [] {
       Bytes bytes = honest_bytes();
       bytes[bytes.size() / 2] ^= 4;
       answer(bytes);
     }},
    {"cuts-the-end-off",
     [] {
       Bytes bytes = honest_bytes();
       bytes.resize(bytes.size() - 300);  // the last statement, and more
       answer(bytes);
     }},
    {"says-it-sends-too-much", [] { request(), answer({}, wire::kMaxParsed + 1); }},
    {"says-it-sends-four-gigabytes", [] { request(), answer({}, 0xffffffff); }},
    {"dies-before-it-answers", [] { request(), _exit(0); }},
    {"dies-in-the-middle",
     [] {
       const Bytes bytes = honest_bytes();
       answer({bytes.begin(), bytes.begin() + 8}, static_cast<std::uint32_t>(bytes.size()));
       _exit(0);
     }},
    {"says-nothing", [] { request(), pause(); }},
    {"never-reads", [] { pause(); }},
    {"drips", [] { drip(honest_bytes()); }},
    {"speaks-unasked", [] { answer(wire::encode_parsed(test::a_plan())), pause(); }},
    {"says-more-than-it-should", [] { answer_twice(honest_bytes()), pause(); }},
};

}  // namespace
}  // namespace mvm

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const auto change = mvm::kChanges.find(argv[1]);
  const auto act = mvm::kActs.find(argv[1]);
  while (true) {
    if (change != mvm::kChanges.end()) {
      mvm::answer_changed(change->second);
    } else if (act != mvm::kActs.end()) {
      act->second();
    } else {
      return 2;
    }
  }
}
