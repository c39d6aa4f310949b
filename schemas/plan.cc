#include "schemas/plan.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "schemas/checked_root.h"
#include "schemas/plan_generated.h"
#include "schemas/statement_codec.h"

namespace mvm::wire {
namespace {

using lang::Document;
using lang::Kind;
using lang::Sign;
using lang::Statement;

constexpr const char* kIdentifier = "MVMP";
static_assert(kMaxParsed > lang::kMaxStatements * sizeof(fbs::Statement) + 4096);

std::unexpected<Error> malformed(const char* what) { return fail(Errc::kMalformed, "read what gate parsed", what); }

fbs::Bytes32 to_fbs(const void* bytes) {
  fbs::Bytes32 out;
  static_assert(sizeof out == 32);
  std::memcpy(&out, bytes, sizeof out);
  return out;
}

Digest decode_digest(const fbs::Bytes32& from) {
  Digest digest;
  std::memcpy(digest.bytes.data(), from.bytes()->Data(), digest.bytes.size());
  return digest;
}

// A flake's reference, or none, padded with nothing but NUL.
std::optional<FlakeRef> decode_flake(const fbs::FlakeRef& from) {
  const std::string_view padded(reinterpret_cast<const char*>(from.bytes()->Data()), kMaxFlakeRef);
  const auto end = std::min(padded.find('\0'), kMaxFlakeRef);
  if (padded.find_first_not_of('\0', end) != std::string_view::npos) return std::nullopt;
  return end == 0 ? FlakeRef() : FlakeRef::from(padded.substr(0, end));
}

fbs::FlakeRef to_fbs(const FlakeRef& flake) {
  fbs::FlakeRef out;
  static_assert(sizeof out == kMaxFlakeRef);
  std::memcpy(&out, flake.padded().data(), sizeof out);
  return out;
}

fbs::Header to_fbs(const lang::Header& header) {
  return {to_fbs(header.flake), to_fbs(header.node.padded().data()), to_fbs(header.desired.bytes.data()), to_fbs(header.base.bytes.data()),
          header.generation, static_cast<std::uint8_t>(header.has_desired)};
}

Result<lang::Header> decode_header(const fbs::Header& from) {
  // A node's name is of the form of a tenant's, and read as one.
  const auto node = decode_subject({from.node(), fbs::Bytes32{}, 0, static_cast<std::uint8_t>(SubjectKind::kTenant)});
  const auto flake = decode_flake(from.flake());
  const bool no_node = decode_digest(from.node()) == Digest{};
  if ((!node && !no_node) || !flake || from.has_desired() > 1) return malformed("header");
  return lang::Header{no_node ? Name() : node->tenant, from.generation(), from.has_desired() == 1, decode_digest(from.desired()),
                      decode_digest(from.base()), *flake};
}

std::string printable(std::string_view text) {
  std::string out(text.substr(0, kMaxRefusalText));
  for (char& c : out) {
    if (c < ' ' || c > '~') c = '?';
  }
  return out;
}

Result<std::string> decode_text(const flatbuffers::String* text) {
  if (text == nullptr || printable(text->str()) != text->str()) return malformed("text of a refusal");
  return text->str();
}

Result<lang::Refusal> decode_refusal(const fbs::Refusal& from) {
  const auto statement = decode_text(from.statement());
  const auto why = decode_text(from.why());
  const auto remedy = decode_text(from.remedy());
  if (!statement || !why || !remedy) return malformed("text of a refusal");
  // Gate knows of form alone; a refusal in another rule's name is a lie.
  if (from.rule() != static_cast<std::uint8_t>(lang::Rule::kForm)) return malformed("rule of a refusal");
  return lang::Refusal{lang::Rule::kForm, from.line(), from.column(), *statement, *why, *remedy};
}

bool header_fits(Kind kind, const lang::Header& header) {
  const bool manifest = kind == Kind::kManifest;
  if (header.node.empty() != manifest || header.flake.empty() == manifest || header.generation > lang::kMaxGeneration) return false;
  const bool no_desired = !header.has_desired && header.desired == Digest{};
  switch (kind) {
    case Kind::kProjection: return header.generation >= 1 && no_desired && header.base == Digest{};
    case Kind::kState: return (header.has_desired || no_desired) && header.base == Digest{};
    case Kind::kPlan: return header.generation >= 1 && header.has_desired;
    case Kind::kManifest:
    case Kind::kPolicy: return header.generation == 0 && no_desired && header.base == Digest{};
  }
  return false;
}

// The kinds without signs are sorted and hold no line twice, and a row that may stand once a subject stands once.
bool in_order(const Statement& before, const Statement& after) {
  if (!lang::canonical_less(before, after)) return false;
  return lang::row(after.word).many || before.word != after.word || before.subject != after.subject;
}

Result<Document> decode_document(Kind kind, const fbs::Document& from) {
  if (from.kind() != static_cast<std::uint8_t>(kind)) return malformed("kind of text");
  if (from.header() == nullptr || from.statements() == nullptr) return malformed("half a document");
  if (!is_aligned(*from.statements())) return malformed("statements that are not aligned");
  if (from.statements()->size() > lang::kMaxStatements) return fail(Errc::kLimit, "read what gate parsed", "statements");
  auto header = decode_header(*from.header());
  if (!header || !header_fits(kind, *header)) return malformed("header");
  Document document{kind, *header, {}};
  document.statements.reserve(from.statements()->size());
  for (const fbs::Statement* each : *from.statements()) {
    auto statement = decode_statement(*each, kind);
    if (!statement) return forward(std::move(statement.error()));
    const bool sorted = kind != Kind::kPlan;
    if (sorted && !document.statements.empty() && !in_order(document.statements.back(), *statement)) return malformed("order");
    document.statements.push_back(*statement);
  }
  return document;
}

flatbuffers::Offset<fbs::Document> add(flatbuffers::FlatBufferBuilder& builder, const Document& document) {
  fbs::Statement* out = nullptr;
  const auto statements = builder.CreateUninitializedVectorOfStructs(document.statements.size(), &out);
  for (const Statement& statement : document.statements) *out++ = wire::to_fbs(statement);
  const fbs::Header header = to_fbs(document.header);
  return fbs::CreateDocument(builder, static_cast<std::uint8_t>(document.kind), &header, statements);
}

flatbuffers::Offset<fbs::Refusal> add(flatbuffers::FlatBufferBuilder& builder, const lang::Refusal& refusal) {
  const auto statement = builder.CreateString(printable(refusal.statement));
  const auto why = builder.CreateString(printable(refusal.why));
  const auto remedy = builder.CreateString(printable(refusal.remedy));
  return fbs::CreateRefusal(builder, static_cast<std::uint8_t>(refusal.rule), refusal.line, refusal.column, statement, why, remedy);
}

}  // namespace

std::vector<std::uint8_t> encode_parsed(const lang::Checked<Document>& parsed) {
  flatbuffers::FlatBufferBuilder builder(64 * 1024);
  flatbuffers::Offset<fbs::Document> document;
  flatbuffers::Offset<fbs::Refusal> refusal;
  if (parsed) {
    document = add(builder, *parsed);
  } else {
    refusal = add(builder, parsed.error());
  }
  return finished_bytes(builder, fbs::CreateParsed(builder, document, refusal), kIdentifier);
}

Result<lang::Checked<Document>> decode_parsed(Kind kind, std::span<const std::uint8_t> bytes) {
  const auto root = checked_root<fbs::Parsed>(bytes, kIdentifier, kMaxParsed);
  if (!root) return forward(root.error());
  const fbs::Document* document = (*root)->document();
  const fbs::Refusal* refusal = (*root)->refusal();
  if ((document == nullptr) == (refusal == nullptr)) return malformed("neither a document nor a refusal, or both");
  if (refusal != nullptr) {
    auto decoded = decode_refusal(*refusal);
    if (!decoded) return forward(std::move(decoded.error()));
    return lang::Checked<Document>(std::unexpected(std::move(*decoded)));
  }
  auto decoded = decode_document(kind, *document);
  if (!decoded) return forward(std::move(decoded.error()));
  return lang::Checked<Document>(std::move(*decoded));
}

}  // namespace mvm::wire
