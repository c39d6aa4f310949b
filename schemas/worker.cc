#include "schemas/worker.h"

#include <algorithm>
#include <cstring>

#include "policy-lang/print.h"
#include "schemas/checked_root.h"
#include "schemas/statement_codec.h"
#include "schemas/worker_generated.h"

namespace mvm::wire {
namespace {

constexpr const char* kTaskIdentifier = "MVMT";
constexpr const char* kAnswerIdentifier = "MVMA";
constexpr std::uint64_t kMaxRate = 10'000'000;  // the highest that a line can say (policy-lang/table.cc)
constexpr std::uint8_t kLastErrc = static_cast<std::uint8_t>(Errc::kClosed);

std::unexpected<Error> malformed(const char* what) { return fail(Errc::kMalformed, "decode a worker's message", what); }

bool is_bool(std::uint8_t value) { return value <= 1; }

// A subnet, or all zero.
std::optional<Subnet> decode_subnet(std::uint64_t packed) {
  const Subnet subnet = Subnet::unpack(packed);
  if (packed == 0) return subnet;
  if (subnet.packed() != packed || subnet.prefix < kMinPrefix || subnet.prefix > 32 || !subnet.aligned()) return std::nullopt;
  return subnet;
}

// A name, or none.
std::optional<Name> decode_node(const fbs::Bytes32& from) {
  Name name;
  if (std::memcmp(from.bytes()->Data(), name.padded().data(), kMaxName) == 0) return name;
  const std::string_view padded(reinterpret_cast<const char*>(from.bytes()->Data()), kMaxName);
  const auto read = Name::from(padded.substr(0, padded.find('\0')));
  if (!read || std::string_view(read->padded().data(), kMaxName) != padded) return std::nullopt;
  return read;
}

fbs::Bytes32 to_fbs(const Name& name) {
  fbs::Bytes32 out;
  std::memcpy(&out, name.padded().data(), sizeof out);
  return out;
}

fbs::Bytes32 to_fbs(const Digest& digest) {
  fbs::Bytes32 out;
  std::memcpy(&out, digest.bytes.data(), sizeof out);
  return out;
}

Digest decode_digest(const fbs::Bytes32& from) {
  Digest digest;
  std::memcpy(digest.bytes.data(), from.bytes()->Data(), digest.bytes.size());
  return digest;
}

Result<Asleep> decode_asleep(const fbs::Asleep* from) {
  if (from == nullptr) return Asleep{};
  const auto& mem = lang::row(lang::Word::kJail).fields[lang::field_index(lang::Word::kJail, "mem")];
  if (from->mem() > mem.max) return malformed("a memory out of range");
  if (from->key() > sealing::kMaxKeyVersion) return malformed("a key's version out of range");
  return Asleep{decode_digest(from->image()), decode_digest(from->vmm()), decode_digest(from->file()), decode_digest(from->base()), from->mem(), from->key(), from->source()};
}

Result<std::vector<std::vector<std::uint8_t>>> decode_sealed(const flatbuffers::Vector<flatbuffers::Offset<fbs::Sealed>>& from, Op op) {
  if (from.size() != 0 && !may_open(op)) return malformed("envelopes that open nothing");
  if (from.size() > kMaxSealed) return malformed("too many envelopes");
  std::vector<std::vector<std::uint8_t>> out;
  std::size_t bytes = 0;
  for (const fbs::Sealed* sealed : from) {
    if (sealed->envelope() == nullptr || sealed->envelope()->size() == 0) return malformed("an envelope of nothing");
    bytes += sealed->envelope()->size();
    if (bytes > kMaxSealedBytes) return malformed("envelopes beyond their limit");
    out.emplace_back(sealed->envelope()->begin(), sealed->envelope()->end());
  }
  return out;
}

Result<std::optional<lang::Manifest>> decode_manifest(const fbs::Manifest* from, Op op, lang::Word word) {
  if (from == nullptr) return std::nullopt;
  if (!takes_image(op, word)) return malformed("a manifest that nothing is taken of");
  if (from->flake() == nullptr || from->lines() == nullptr || !is_aligned(*from->lines())) return malformed("a manifest that is not whole");
  const auto flake = FlakeRef::from(from->flake()->string_view());
  if (!flake) return malformed("a flake that is none");
  lang::Document document{lang::Kind::kManifest, {}, {}};
  document.header.flake = *flake;
  for (const fbs::Statement* line : *from->lines()) {
    auto statement = decode_statement(*line, lang::Kind::kManifest);
    if (!statement) return forward(statement.error());
    document.statements.push_back(*statement);
  }
  const auto manifest = lang::read_manifest(document);
  if (!manifest) return malformed("a manifest of other lines");
  return *manifest;
}

Result<Place> decode_place(const fbs::Place& from) {
  const auto subnet = decode_subnet(from.subnet()), cidr = decode_subnet(from.cidr());
  if (!subnet || !cidr) return malformed("a subnet that is not one");
  if (from.net() > lang::kMaxNet) return malformed("a net id out of range");
  if (from.generation() > lang::kMaxGeneration) return malformed("a generation out of range");
  const auto node = decode_node(from.node());
  if (!node) return malformed("a node whose name is none");
  if (from.pps() > kMaxRate || from.mbps() > kMaxRate || from.io() > kMaxRate) return malformed("a rate out of range");
  if ((from.drives() & ~kAllDrives) != 0) return malformed("a drive that there is not");
  return Place{from.net(), *subnet, *cidr,      from.slot(), from.uid(), from.generation(),
               *node,      from.pps(), from.mbps(), from.io(), from.drives()};
}

Result<std::vector<Subnet>> decode_subnets(const flatbuffers::Vector<std::uint64_t>& from) {
  if (!is_aligned(from)) return malformed("subnets that are not aligned");
  if (from.size() > kMaxSubnets) return malformed("too many subnets");
  std::vector<Subnet> subnets;
  for (const std::uint64_t packed : from) {
    const auto subnet = decode_subnet(packed);
    if (!subnet || packed == 0) return malformed("a subnet that is not one");
    subnets.push_back(*subnet);
  }
  return subnets;
}

// The sign that a statement of that operation has.
lang::Sign sign_of(Op op) {
  switch (op) {
    case Op::kMake:
    case Op::kDump:
    case Op::kClear:
    case Op::kHandOver:
    case Op::kSpend:
    case Op::kRelease:
    case Op::kOpenImage: return lang::Sign::kAdd;
    case Op::kUnmake: return lang::Sign::kRemove;
    case Op::kMove:
    case Op::kConnect:
    case Op::kAsk:
    case Op::kInflate:
    case Op::kDeflate: return lang::Sign::kMove;
    case Op::kInventory:
    case Op::kOffer:
    case Op::kRead: break;
  }
  return lang::Sign::kNone;
}

Result<lang::Statement> decode_task_statement(Op op, const fbs::Task& from) {
  if (!has_statement(op)) {
    if (from.statement() != nullptr) return malformed("a statement that nothing is done with");
    return lang::Statement{};
  }
  if (from.statement() == nullptr) return malformed("no statement");
  auto statement = op == Op::kUnmake ? decode_bare_statement(*from.statement())
                                     : decode_statement(*from.statement(), lang::Kind::kPlan);
  if (!statement) return statement;
  if (statement->sign != sign_of(op)) return malformed("a sign that is not the operation's");
  if (lang::row(statement->word).worker == lang::Worker::kNone) return malformed("a word that no worker runs");
  return statement;
}

Result<Item> decode_item(const fbs::Item& from) {
  auto subject = decode_subject(from.subject());
  if (!subject) return forward(subject.error());
  if (from.word() >= lang::kWords || from.word() < static_cast<std::uint8_t>(lang::kFirstPrimitive)) {
    return malformed("a word that is no primitive");
  }
  if (!is_bool(from.alive())) return malformed("a truth value that is neither");
  const lang::Row& row = lang::row(static_cast<lang::Word>(from.word()));
  const std::uint64_t most = row.moves.empty() || row.fields.empty() ? lang::kWarm : lang::moved_field(row).max;
  if (from.state() > most) return malformed("a state that there is not");
  if (from.net() > lang::kMaxNet) return malformed("a net id out of range");
  const Digest image = decode_digest(from.image());
  const bool is_image = image != Digest{};
  if (is_image && (row.word != lang::Word::kJail || subject->kind != SubjectKind::kNone)) return malformed("an image that is something else, too");
  return Item{static_cast<lang::Word>(from.word()), *subject, from.net(), from.slot(), from.alive() != 0, from.state(), is_image ? std::optional(image) : std::nullopt};
}

bool error_text_fits(const flatbuffers::String* text) {
  if (text == nullptr || text->size() > kMaxErrorText) return false;
  return std::all_of(text->begin(), text->end(), [](char c) { return c >= ' ' && c <= '~'; });
}

Result<Error> decode_error(const fbs::WorkerError& from) {
  if (from.code() > kLastErrc) return malformed("an error code that there is not");
  if (!error_text_fits(from.tried()) || !error_text_fits(from.on())) return malformed("an error's text");
  return Error{static_cast<Errc>(from.code()), from.sys_errno(), from.tried()->str(), from.on()->str()};
}

std::string printable(std::string text) {
  if (text.size() > kMaxErrorText) text.resize(kMaxErrorText);
  std::replace_if(text.begin(), text.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
  return text;
}

}  // namespace

std::vector<std::uint8_t> encode(const Task& task) {
  flatbuffers::FlatBufferBuilder builder;
  const auto list = [&](const std::vector<Subnet>& subnets) {
    std::vector<std::uint64_t> packed;
    for (const Subnet& subnet : subnets) packed.push_back(subnet.packed());
    return builder.CreateVector(packed);
  };
  const auto egress_at = list(task.egress), closed_at = list(task.closed);
  const fbs::Statement statement = to_fbs(task.statement);
  std::vector<flatbuffers::Offset<fbs::Sealed>> envelopes;
  for (const auto& envelope : task.sealed) {
    const auto bytes_at = builder.CreateVector(envelope);
    envelopes.push_back(fbs::CreateSealed(builder, bytes_at));
  }
  const auto sealed_at = builder.CreateVector(envelopes);
  flatbuffers::Offset<fbs::Manifest> manifest;
  if (task.manifest) {
    std::vector<fbs::Statement> lines;
    for (const lang::Statement& line : lang::document_of(*task.manifest).statements) lines.push_back(to_fbs(line));
    const auto lines_at = builder.CreateVectorOfStructs(lines);
    const auto flake_at = builder.CreateString(task.manifest->flake.view());
    manifest = fbs::CreateManifest(builder, flake_at, lines_at);
  }
  const fbs::Place place(to_fbs(task.place.node), task.place.subnet.packed(), task.place.cidr.packed(), task.place.generation, task.place.pps,
                         task.place.mbps, task.place.io, task.place.slot, task.place.uid, task.place.net, task.place.drives);
  const fbs::Asleep asleep(to_fbs(task.asleep.image), to_fbs(task.asleep.vmm), to_fbs(task.asleep.file), to_fbs(task.asleep.base), task.asleep.mem, task.asleep.key_version, task.asleep.source);
  return finished_bytes(builder,
                        fbs::CreateTask(builder, task.seq, static_cast<std::uint8_t>(task.op),
                                        has_statement(task.op) ? &statement : nullptr, &place, egress_at, sealed_at, closed_at, &asleep, manifest),
                        kTaskIdentifier);
}

Result<Task> decode_task(std::span<const std::uint8_t> bytes) {
  const auto root = checked_root<fbs::Task>(bytes, kTaskIdentifier, kMaxPacket);
  if (!root) return forward(root.error());
  const fbs::Task& from = **root;
  if (from.seq() == 0) return malformed("a task without a number");
  if (from.op() > static_cast<std::uint8_t>(Op::kDeflate)) return malformed("an operation that there is not");
  if (from.place() == nullptr || from.egress() == nullptr || from.closed() == nullptr || from.sealed() == nullptr) return malformed("a field that is missing");
  Task task;
  task.seq = from.seq();
  task.op = static_cast<Op>(from.op());
  auto statement = decode_task_statement(task.op, from);
  if (!statement) return forward(statement.error());
  task.statement = *statement;
  auto place = decode_place(*from.place());
  if (!place) return forward(place.error());
  task.place = *place;
  auto egress = decode_subnets(*from.egress()), closed = decode_subnets(*from.closed());
  if (!egress) return forward(egress.error());
  if (!closed) return forward(closed.error());
  task.egress = *std::move(egress);
  task.closed = *std::move(closed);
  auto sealed = decode_sealed(*from.sealed(), task.op);
  if (!sealed) return forward(sealed.error());
  task.sealed = *std::move(sealed);
  const auto asleep = decode_asleep(from.asleep());
  if (!asleep) return forward(asleep.error());
  task.asleep = *asleep;
  auto manifest = decode_manifest(from.manifest(), task.op, task.statement.word);
  if (!manifest) return forward(manifest.error());
  task.manifest = *std::move(manifest);
  return task;
}

Result<lang::Manifest> manifest_of(const Task& task) {
  if (!task.manifest) return fail(Errc::kDenied, "use an image without its manifest", to_string(lang::jail_view(task.statement).image));
  if (sha256(lang::print(lang::document_of(*task.manifest))) == lang::jail_view(task.statement).image) return *task.manifest;
  return fail(Errc::kDenied, "use an image by the manifest of another", to_string(lang::jail_view(task.statement).image));
}

std::vector<std::uint8_t> encode(const Answer& answer) {
  flatbuffers::FlatBufferBuilder builder;
  std::vector<fbs::Item> items;
  for (const Item& item : answer.items) {
    items.emplace_back(to_fbs(item.subject), to_fbs(item.image.value_or(Digest{})), item.state, item.slot, item.net, static_cast<std::uint8_t>(item.word),
                       item.alive ? 1 : 0);
  }
  const auto items_at = builder.CreateVectorOfStructs(items);
  flatbuffers::Offset<fbs::WorkerError> error;
  if (!answer.ok) {
    const auto tried = builder.CreateString(printable(answer.error.tried));
    const auto on = builder.CreateString(printable(answer.error.on));
    error = fbs::CreateWorkerError(builder, static_cast<std::uint8_t>(answer.error.code), answer.error.sys_errno, tried, on);
  }
  const fbs::Subject ended = to_fbs(answer.ended);
  flatbuffers::Offset<flatbuffers::Vector<std::uint8_t>> offer;
  if (answer.offer) offer = builder.CreateVector(answer.offer->data(), answer.offer->size());
  const fbs::Bytes32 digest = to_fbs(answer.digest.value_or(Digest{}));
  std::vector<fbs::Reading> readings;
  for (const Reading& reading : answer.readings) readings.push_back(to_fbs(reading));
  flatbuffers::Offset<flatbuffers::Vector<const fbs::Reading*>> readings_at;
  if (!readings.empty()) readings_at = builder.CreateVectorOfStructs(readings);
  return finished_bytes(
      builder, fbs::CreateAnswer(builder, answer.seq, answer.ok ? 1 : 0, error, items_at, answer.more ? 1 : 0, &ended, offer, answer.digest ? &digest : nullptr, readings_at),
      kAnswerIdentifier);
}

Result<Answer> decode_answer(std::span<const std::uint8_t> bytes) {
  const auto root = checked_root<fbs::Answer>(bytes, kAnswerIdentifier, kMaxPacket);
  if (!root) return forward(root.error());
  const fbs::Answer& from = **root;
  if (from.items() == nullptr || from.ended() == nullptr) return malformed("a field that is missing");
  if (!is_bool(from.ok()) || !is_bool(from.more())) return malformed("a truth value that is neither");
  if (!is_aligned(*from.items())) return malformed("items that are not aligned");
  if (from.items()->size() > kMaxItems) return malformed("too many items");
  if ((from.ok() == 0) != (from.error() != nullptr)) return malformed("an error of a success, or none of a failure");
  Answer answer;
  answer.seq = from.seq();
  answer.ok = from.ok() != 0;
  answer.more = from.more() != 0;
  if (from.error() != nullptr) {
    auto error = decode_error(*from.error());
    if (!error) return forward(error.error());
    answer.error = *std::move(error);
  }
  for (const fbs::Item* item : *from.items()) {
    auto decoded = decode_item(*item);
    if (!decoded) return forward(decoded.error());
    answer.items.push_back(*decoded);
  }
  auto ended = decode_subject(*from.ended());
  if (!ended) return forward(ended.error());
  answer.ended = *ended;
  if (from.offer() != nullptr) {
    if (!answer.ok || from.offer()->size() != sizeof(sealing::PublicKey)) return malformed("an offer that is none");
    answer.offer.emplace();
    std::copy(from.offer()->begin(), from.offer()->end(), answer.offer->begin());
  }
  if (from.digest() != nullptr) {
    if (!answer.ok) return malformed("a digest of a failure");
    answer.digest = decode_digest(*from.digest());
  }
  if (from.readings() != nullptr) {
    if (!answer.ok || from.readings()->size() == 0 || from.readings()->size() > kMaxItems) return malformed("readings of nothing, of a failure, or too many");
    if (!is_aligned(*from.readings())) return malformed("readings that are not aligned");
    for (const fbs::Reading* each : *from.readings()) {
      const auto reading = decode_reading(*each);
      if (!reading) return forward(reading.error());
      answer.readings.push_back(*reading);
    }
  }
  const bool is_event = answer.seq == 0;
  if (is_event != (answer.ended.kind == SubjectKind::kInstance)) return malformed("an event without an instance, or an answer with one");
  return answer;
}

Answer answer_to(std::uint64_t seq, Status done) {
  Answer answer;
  answer.seq = seq;
  answer.ok = done.has_value();
  if (!done) answer.error = std::move(done.error());
  return answer;
}

Digested without_digest(Status done) {
  if (!done) return forward(std::move(done.error()));
  return std::optional<Digest>();
}

Answer answer_with(std::uint64_t seq, Digested done) {
  if (!done) return answer_to(seq, forward(std::move(done.error())));
  Answer answer = answer_to(seq, {});
  answer.digest = *done;
  return answer;
}

namespace {

template <class Each>
std::vector<Answer> paged(std::uint64_t seq, const Result<std::vector<Each>>& all, std::vector<Each> Answer::*field) {
  if (!all) return {answer_to(seq, forward(all.error()))};
  std::vector<Answer> answers;
  std::size_t at = 0;
  do {
    const std::size_t count = std::min(all->size() - at, kMaxItems);
    Answer page = answer_to(seq, {});
    (page.*field).assign(all->begin() + static_cast<std::ptrdiff_t>(at), all->begin() + static_cast<std::ptrdiff_t>(at + count));
    at += count;
    page.more = at < all->size();
    answers.push_back(std::move(page));
  } while (at < all->size());
  return answers;
}

}  // namespace

std::vector<Answer> pages(std::uint64_t seq, const Result<std::vector<Item>>& items) { return paged(seq, items, &Answer::items); }
std::vector<Answer> pages(std::uint64_t seq, const Result<std::vector<Reading>>& readings) { return paged(seq, readings, &Answer::readings); }

}  // namespace mvm::wire
