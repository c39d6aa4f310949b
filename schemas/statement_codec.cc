#include "schemas/statement_codec.h"

#include <algorithm>
#include <cstring>

namespace mvm::wire {
namespace {

using lang::Field;
using lang::FieldKind;
using lang::Row;
using lang::Sign;
using lang::Statement;
using lang::Word;

static_assert(lang::kMaxFields == 11 && lang::kMaxDigestFields == 2, "statement.fbs carries exactly these");

std::unexpected<Error> malformed(const char* what) { return fail(Errc::kMalformed, "decode a statement", what); }

fbs::Bytes32 to_fbs(const void* bytes) {
  fbs::Bytes32 out;
  static_assert(sizeof out == 32);
  std::memcpy(&out, bytes, sizeof out);
  return out;
}

// A name, or the empty one, padded with nothing but NUL.
std::optional<Name> decode_name(const fbs::Bytes32& from) {
  const std::string_view padded(reinterpret_cast<const char*>(from.bytes()->Data()), kMaxName);
  const auto end = std::min(padded.find('\0'), kMaxName);
  if (padded.find_first_not_of('\0', end) != std::string_view::npos) return std::nullopt;
  if (end == 0) return Name();
  return Name::from(padded.substr(0, end));
}

Digest decode_digest(const fbs::Bytes32& from) {
  Digest digest;
  std::memcpy(digest.bytes.data(), from.bytes()->Data(), digest.bytes.size());
  return digest;
}

bool is_digest(FieldKind kind) {
  return kind == FieldKind::kDigest || kind == FieldKind::kDigestOrNone || kind == FieldKind::kPublicKey ||
         kind == FieldKind::kBoot;
}

bool is_key(FieldKind kind) { return kind == FieldKind::kKey || kind == FieldKind::kKeyOrNone; }

bool number_fits(const Field& field, std::uint64_t value) {
  if (field.kind != FieldKind::kSubnet) return value >= field.min && value <= field.max;
  const Subnet subnet = Subnet::unpack(value);
  return subnet.packed() == value && subnet.prefix >= kMinPrefix && subnet.prefix <= kMaxPrefix && subnet.aligned();
}

// The two states, or versions, and nothing else.
bool move_fits(const Statement& s) {
  const Field& field = lang::moved_field(lang::row(s.word));
  const std::uint64_t least = field.kind == FieldKind::kWord ? field.min : 1;
  Statement bare;
  bare.sign = s.sign;
  bare.word = s.word;
  bare.subject = s.subject;
  bare.numbers[0] = s.numbers[0];
  bare.numbers[1] = s.numbers[1];
  const auto fits = [&](std::uint64_t value) { return value >= least && value <= field.max; };
  return fits(s.numbers[0]) && fits(s.numbers[1]) && s == bare;
}

bool fields_fit(const Statement& s) {
  const auto fields = lang::row(s.word).fields;
  std::size_t digests = 0;
  bool wants_key = false;
  for (std::size_t i = 0; i < fields.size(); ++i) {
    if (!number_fits(fields[i], s.numbers[i])) return false;
    if (is_digest(fields[i].kind)) {
      const bool named = s.numbers[i] != 0;
      if (!named && s.digests[digests] != Digest{}) return false;
      ++digests;
    }
    if (is_key(fields[i].kind)) wants_key = s.numbers[i] != 0;
  }
  if (s.key_tenant.empty() == wants_key) return false;
  const auto zero = [](const auto& value) { return value == std::remove_cvref_t<decltype(value)>{}; };
  return std::all_of(s.numbers.begin() + static_cast<std::ptrdiff_t>(fields.size()), s.numbers.end(), zero) &&
         std::all_of(s.digests.begin() + static_cast<std::ptrdiff_t>(digests), s.digests.end(), zero);
}

bool sign_fits(const Row& row, Sign sign, lang::Kind kind) {
  if (kind != lang::Kind::kPlan) return sign == Sign::kNone;
  if (sign == Sign::kNone) return false;
  return (row.signs >> (static_cast<unsigned>(sign) - 1) & 1) != 0;
}
static_assert(lang::kAddRemove == (1u << (static_cast<unsigned>(Sign::kAdd) - 1) | 1u << (static_cast<unsigned>(Sign::kRemove) - 1)));
static_assert(lang::kMoveOnly == 1u << (static_cast<unsigned>(Sign::kMove) - 1));

}  // namespace

fbs::Subject to_fbs(const Subject& subject) {
  return {to_fbs(subject.tenant.padded().data()), to_fbs(subject.pool.padded().data()), subject.instance.value,
          static_cast<std::uint8_t>(subject.kind)};
}

fbs::Statement to_fbs(const Statement& s) {
  const std::array<fbs::Bytes32, lang::kMaxDigestFields> digests = {to_fbs(s.digests[0].bytes.data()),
                                                                    to_fbs(s.digests[1].bytes.data())};
  return {flatbuffers::make_span(s.numbers),
          flatbuffers::make_span(digests),
          to_fbs(s.key_tenant.padded().data()),
          to_fbs(s.subject),
          static_cast<std::uint8_t>(s.sign),
          static_cast<std::uint8_t>(s.word)};
}

Result<Subject> decode_subject(const fbs::Subject& from) {
  const auto tenant = decode_name(from.tenant());
  const auto pool = decode_name(from.pool());
  if (!tenant || !pool) return malformed("a name that is not one");
  if (from.kind() > static_cast<std::uint8_t>(SubjectKind::kInstance)) return malformed("a kind of subject that there is not");
  const Subject subject{*tenant, *pool, static_cast<SubjectKind>(from.kind()), InstanceId{from.instance()}};
  const bool has_tenant = subject.kind >= SubjectKind::kTenant, has_pool = subject.kind >= SubjectKind::kPool;
  if (tenant->empty() == has_tenant || pool->empty() == has_pool) return malformed("a subject with a part too many or too few");
  if (subject.kind != SubjectKind::kInstance && from.instance() != 0) return malformed("an instance of no pool");
  return subject;
}

Result<Statement> decode_bare_statement(const fbs::Statement& from) {
  if (from.word() >= lang::kWords) return malformed("a word that there is not");
  if (from.sign() > static_cast<std::uint8_t>(Sign::kMove)) return malformed("a sign that there is not");
  const auto subject = decode_subject(from.subject());
  if (!subject) return forward(subject.error());
  const auto key_tenant = decode_name(from.key_tenant());
  if (!key_tenant) return malformed("a name that is not one");
  Statement out;
  out.sign = static_cast<Sign>(from.sign());
  out.word = static_cast<Word>(from.word());
  out.subject = *subject;
  out.key_tenant = *key_tenant;
  for (std::size_t i = 0; i < out.numbers.size(); ++i) out.numbers[i] = from.numbers()->Get(static_cast<flatbuffers::uoffset_t>(i));
  for (std::size_t i = 0; i < out.digests.size(); ++i) out.digests[i] = decode_digest(*from.digests()->Get(static_cast<flatbuffers::uoffset_t>(i)));
  return out;
}

Result<Statement> decode_statement(const fbs::Statement& from, lang::Kind kind) {
  const auto statement = decode_bare_statement(from);
  if (!statement) return forward(statement.error());
  const Row& row = lang::row(statement->word);
  if (!row.in[static_cast<std::size_t>(kind)]) return malformed("a word that does not stand in this kind of text");
  if (!sign_fits(row, statement->sign, kind)) return malformed("a sign that the word does not take");
  if (statement->subject.kind != row.subject) return malformed("a subject of the wrong kind");
  const bool fits = statement->sign == Sign::kMove ? move_fits(*statement) : fields_fit(*statement);
  if (!fits) return malformed("a field out of its bounds");
  return *statement;
}

}  // namespace mvm::wire
