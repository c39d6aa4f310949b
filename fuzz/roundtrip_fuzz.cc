// Bytes to a document, by the table; the document to text; the text to a document: the same. Every value is drawn inside its
// field's bounds, so every text must be taken.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "fuzz/check.h"
#include "policy-lang/parse.h"
#include "policy-lang/print.h"

namespace {

using namespace mvm;
using namespace mvm::lang;

class Bytes {
 public:
  Bytes(const std::uint8_t* data, std::size_t size) : data_(data), left_(size) {}
  [[nodiscard]] bool done() const { return left_ == 0; }
  std::uint8_t byte() {
    if (left_ == 0) return 0;
    --left_;
    return *data_++;
  }
  // min .. max
  std::uint64_t number(std::uint64_t min, std::uint64_t max) {
    std::uint64_t value = 0;
    for (std::uint64_t span = max - min; span != 0; span >>= 8) value = value << 8 | byte();
    return max - min == UINT64_MAX ? value : min + value % (max - min + 1);
  }
  Name name() {
    static constexpr std::string_view kInner = "abcdefghijklmnopqrstuvwxyz0123456789-";
    std::string text(1, kInner[number(0, 25)]);
    for (std::uint64_t more = number(0, kMaxName - 1); more > 0; --more) text += kInner[number(0, more == 1 ? 35 : 36)];
    return *Name::from(text);
  }
  FlakeRef flake() {
    const std::string inner = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789" + std::string(FlakeRef::kMarks);
    std::string text(1, inner[number(0, 25)]);
    for (std::uint64_t more = number(0, kMaxFlakeRef - 1); more > 0; --more) text += inner[number(0, inner.size() - 1)];
    return *FlakeRef::from(text);
  }
  Digest digest() {
    Digest digest;
    for (std::uint8_t& each : digest.bytes) each = byte();
    return digest;
  }
  Subnet subnet() {
    const auto prefix = static_cast<std::uint8_t>(number(kMinPrefix, kMaxPrefix));
    const auto address = number(0, UINT32_MAX);
    return {static_cast<std::uint32_t>(address - address % (std::uint64_t{1} << (32 - prefix))), prefix};
  }

 private:
  const std::uint8_t* data_;
  std::size_t left_;
};

Subject draw_subject(SubjectKind kind, Bytes& bytes) {
  if (kind == SubjectKind::kNone) return {};
  const Name tenant = bytes.name();
  if (kind == SubjectKind::kTenant) return tenant_subject(tenant);
  const Name pool = bytes.name();
  if (kind == SubjectKind::kPool) return pool_subject(tenant, pool);
  return instance_subject(tenant, pool, InstanceId{static_cast<std::uint32_t>(bytes.number(0, UINT32_MAX))});
}

void draw_fields(Statement& s, Bytes& bytes) {
  std::size_t digests = 0, at = 0;
  for (const Field& field : row(s.word).fields) {
    const bool is_key = field.kind == FieldKind::kKey || field.kind == FieldKind::kKeyOrNone;
    s.numbers[at] = field.kind == FieldKind::kSubnet ? bytes.subnet().packed() : bytes.number(field.min, field.max);
    if (is_key && s.numbers[at] != 0) s.key_tenant = bytes.name();
    if (holds_digest(field.kind)) {
      if (s.numbers[at] != 0) s.digests[digests] = bytes.digest();
      ++digests;
    }
    ++at;
  }
}

Statement draw_statement(Kind kind, Bytes& bytes) {
  Statement s;
  do s.word = static_cast<Word>(bytes.number(0, kWords - 1) % kWords);
  while (!row(s.word).in[static_cast<std::size_t>(kind)] && !bytes.done());
  if (kind == Kind::kPlan) s.sign = static_cast<Sign>(bytes.number(1, 3));
  s.subject = draw_subject(row(s.word).subject, bytes);
  if (s.sign == Sign::kMove && !row(s.word).moves.empty()) {
    const Field& field = moved_field(row(s.word));
    for (std::size_t i = 0; i < 2; ++i) s.numbers[i] = bytes.number(field.words.empty(), field.max);
  } else {
    draw_fields(s, bytes);
  }
  return s;
}

bool may_stand(const Statement& s, Kind kind) {
  return row(s.word).in[static_cast<std::size_t>(kind)] && (kind != Kind::kPlan || has_sign(row(s.word).signs, s.sign));
}

bool says_the_same_thing(const Statement& left, const Statement& right) {
  return left == right || (!row(left.word).many && left.word == right.word && left.subject == right.subject);
}

Document draw_document(Bytes& bytes) {
  Document document;
  document.kind = kKinds[bytes.number(0, kKinds.size() - 1)];
  const bool manifest = document.kind == Kind::kManifest;
  if (manifest) document.header.flake = bytes.flake();
  else document.header.node = bytes.name();
  const bool state = document.kind == Kind::kState, plan = document.kind == Kind::kPlan;
  if (document.kind != Kind::kPolicy && !manifest) document.header.generation = bytes.number(state ? 0 : 1, kMaxGeneration);
  document.header.has_desired = plan || (state && bytes.number(0, 1) == 1);
  if (document.header.has_desired) document.header.desired = bytes.digest();
  if (plan) document.header.base = bytes.digest();
  while (!bytes.done()) {
    const Statement s = draw_statement(document.kind, bytes);
    if (may_stand(s, document.kind)) document.statements.push_back(s);
  }
  if (plan) return document;
  std::ranges::sort(document.statements, canonical_less);
  const auto repeated = std::ranges::unique(document.statements, says_the_same_thing);
  document.statements.erase(repeated.begin(), repeated.end());
  return document;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Bytes bytes(data, size);
  const Document document = draw_document(bytes);
  const std::string text = print(document);
  const auto parsed = parse(document.kind, text);
  if (text.size() > kMaxTextBytes || document.statements.size() > kMaxStatements) {
    fuzz::must(!parsed, "nothing above a limit is taken");
    return 0;
  }
  fuzz::must(parsed.has_value(), "a text that was printed is taken");
  fuzz::must(*parsed == document, "and it means what was printed");
  return 0;
}
