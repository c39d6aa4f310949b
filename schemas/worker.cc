#include "schemas/worker.h"

#include <algorithm>

#include "schemas/checked_root.h"
#include "schemas/statement_codec.h"
#include "schemas/worker_generated.h"

namespace mvm::wire {
namespace {

constexpr const char* kTaskIdentifier = "MVMT";
constexpr const char* kAnswerIdentifier = "MVMA";
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

Result<Place> decode_place(const fbs::Place& from) {
  const auto subnet = decode_subnet(from.subnet()), cidr = decode_subnet(from.cidr());
  if (!subnet || !cidr) return malformed("a subnet that is not one");
  if (from.net() > lang::kMaxNet) return malformed("a net id out of range");
  if (from.generation() > lang::kMaxGeneration) return malformed("a generation out of range");
  return Place{from.net(), *subnet, *cidr, from.slot(), from.uid(), from.generation()};
}

// The sign that a statement of that operation has.
lang::Sign sign_of(Op op) {
  switch (op) {
    case Op::kMake: return lang::Sign::kAdd;
    case Op::kUnmake: return lang::Sign::kRemove;
    case Op::kMove: return lang::Sign::kMove;
    case Op::kInventory: break;
  }
  return lang::Sign::kNone;
}

Result<lang::Statement> decode_task_statement(Op op, const fbs::Task& from) {
  if (op == Op::kInventory) {
    if (from.statement() != nullptr) return malformed("an inventory of a statement");
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
  if (from.state() > lang::kWarm) return malformed("a state of a jail that there is not");
  if (from.net() > lang::kMaxNet) return malformed("a net id out of range");
  return Item{static_cast<lang::Word>(from.word()), *subject, from.net(), from.slot(), from.alive() != 0, from.state()};
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
  std::vector<std::uint64_t> egress;
  for (const Subnet& subnet : task.egress) egress.push_back(subnet.packed());
  const auto egress_at = builder.CreateVector(egress);
  const fbs::Statement statement = to_fbs(task.statement);
  const fbs::Place place(task.place.subnet.packed(), task.place.cidr.packed(), task.place.generation, task.place.slot,
                         task.place.uid, task.place.net);
  return finished_bytes(builder,
                        fbs::CreateTask(builder, task.seq, static_cast<std::uint8_t>(task.op),
                                        task.op == Op::kInventory ? nullptr : &statement, &place, egress_at),
                        kTaskIdentifier);
}

Result<Task> decode_task(std::span<const std::uint8_t> bytes) {
  const auto root = checked_root<fbs::Task>(bytes, kTaskIdentifier, kMaxPacket);
  if (!root) return forward(root.error());
  const fbs::Task& from = **root;
  if (from.seq() == 0) return malformed("a task without a number");
  if (from.op() > static_cast<std::uint8_t>(Op::kInventory)) return malformed("an operation that there is not");
  if (from.place() == nullptr || from.egress() == nullptr) return malformed("a field that is missing");
  Task task;
  task.seq = from.seq();
  task.op = static_cast<Op>(from.op());
  auto statement = decode_task_statement(task.op, from);
  if (!statement) return forward(statement.error());
  task.statement = *statement;
  auto place = decode_place(*from.place());
  if (!place) return forward(place.error());
  task.place = *place;
  if (!is_aligned(*from.egress())) return malformed("subnets that are not aligned");
  if (from.egress()->size() > kMaxEgress) return malformed("too many egress subnets");
  for (const std::uint64_t packed : *from.egress()) {
    const auto subnet = decode_subnet(packed);
    if (!subnet || packed == 0) return malformed("a subnet that is not one");
    task.egress.push_back(*subnet);
  }
  return task;
}

std::vector<std::uint8_t> encode(const Answer& answer) {
  flatbuffers::FlatBufferBuilder builder;
  std::vector<fbs::Item> items;
  for (const Item& item : answer.items) {
    items.emplace_back(to_fbs(item.subject), item.state, item.slot, item.net, static_cast<std::uint8_t>(item.word),
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
  return finished_bytes(
      builder, fbs::CreateAnswer(builder, answer.seq, answer.ok ? 1 : 0, error, items_at, answer.more ? 1 : 0, &ended),
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
  const bool is_event = answer.seq == 0;
  if (is_event != (answer.ended.kind == SubjectKind::kInstance)) return malformed("an event without an instance, or an answer with one");
  return answer;
}

}  // namespace mvm::wire
