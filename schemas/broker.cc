#include "schemas/broker.h"

#include <algorithm>
#include <cstring>

#include "policy-lang/table.h"
#include "schemas/broker_generated.h"
#include "schemas/checked_root.h"
#include "sealing/offer.h"

namespace mvm::wire {
namespace {

constexpr const char* kRequestIdentifier = "MVMR";
constexpr const char* kEventIdentifier = "MVME";
constexpr std::uint8_t kLastErrc = static_cast<std::uint8_t>(Errc::kClosed);
constexpr std::uint8_t kFirstRule = static_cast<std::uint8_t>(lang::Rule::kForm);
constexpr std::uint8_t kLastRule = static_cast<std::uint8_t>(lang::Rule::kFreshness);
constexpr std::size_t kMaxSubjectText = 2 * kMaxName + 12;

using flatbuffers::FlatBufferBuilder;
template <class T>
using At = flatbuffers::Offset<T>;

std::unexpected<Error> malformed(const char* what) { return fail(Errc::kMalformed, "decode a broker's message", what); }

bool is_printable(char c) { return c >= ' ' && c <= '~'; }

std::string printable(std::string_view text, std::size_t limit) {
  std::string out(text.substr(0, limit));
  std::replace_if(out.begin(), out.end(), [](char c) { return !is_printable(c); }, '?');
  return out;
}

bool fits(const flatbuffers::String* text, std::size_t limit) {
  return text != nullptr && text->size() <= limit && std::all_of(text->begin(), text->end(), is_printable);
}

At<flatbuffers::String> put(FlatBufferBuilder& builder, std::string_view text, std::size_t limit) {
  return builder.CreateString(printable(text, limit));
}

fbs::Bytes32 put(const Digest& digest) {
  fbs::Bytes32 out;
  std::memcpy(&out, digest.bytes.data(), sizeof out);
  return out;
}

Digest get(const fbs::Bytes32& from) {
  Digest digest;
  std::memcpy(digest.bytes.data(), from.bytes()->Data(), digest.bytes.size());
  return digest;
}

At<fbs::BrokerError> put(FlatBufferBuilder& builder, const Error& error) {
  const auto tried = put(builder, error.tried, kMaxReason), on = put(builder, error.on, kMaxReason);
  return fbs::CreateBrokerError(builder, static_cast<std::uint8_t>(error.code), error.sys_errno, tried, on);
}

Result<Error> get(const fbs::BrokerError* from) {
  if (from == nullptr || from->code() > kLastErrc) return malformed("an error code that there is not");
  if (!fits(from->tried(), kMaxReason) || !fits(from->on(), kMaxReason)) return malformed("an error's text");
  return Error{static_cast<Errc>(from->code()), from->sys_errno(), from->tried()->str(), from->on()->str()};
}

// ---- requests

struct Body {
  FlatBufferBuilder& builder;
  At<void> operator()(const Submit& submit) const {
    const auto signature = builder.CreateVector(submit.signature.data(), submit.signature.size());
    return fbs::CreateSubmit(builder, static_cast<std::uint8_t>(submit.mode), signature).Union();
  }
  At<void> operator()(const AskState&) const { return fbs::CreateAskState(builder).Union(); }
  At<void> operator()(const Watch&) const { return fbs::CreateWatch(builder).Union(); }
  At<void> operator()(const AskReadings&) const { return fbs::CreateAskReadings(builder).Union(); }

  At<void> operator()(const Accepted& event) const {
    const auto plan = put(event.plan);
    return fbs::CreateAccepted(builder, &plan, event.statements).Union();
  }
  At<void> operator()(const Refused& event) const {
    const lang::Refusal& refusal = event.refusal;
    const auto statement = put(builder, refusal.statement, lang::kMaxLineBytes);
    const auto why = put(builder, refusal.why, kMaxReason), remedy = put(builder, refusal.remedy, kMaxReason);
    return fbs::CreateRefused(builder, static_cast<std::uint8_t>(refusal.rule), refusal.line, refusal.column, statement, why,
                              remedy, event.in_projection ? 1 : 0)
        .Union();
  }
  At<void> operator()(const Progress& event) const {
    const auto line = put(builder, event.line, lang::kMaxLineBytes);
    At<fbs::BrokerError> error;
    if (event.phase == Phase::kFailed) error = put(builder, event.error);
    return fbs::CreateProgress(builder, event.index, line, static_cast<std::uint8_t>(event.phase), error).Union();
  }
  At<void> operator()(const Holds& event) const {
    const auto subject = put(builder, event.subject, kMaxSubjectText);
    std::vector<At<flatbuffers::String>> lines;
    for (std::size_t i = 0; i < std::min(event.lines.size(), kMaxHeldLines); ++i) {
      lines.push_back(put(builder, event.lines[i], lang::kMaxLineBytes));
    }
    const auto lines_at = builder.CreateVector(lines);
    return fbs::CreateHolds(builder, subject, lines_at).Union();
  }
  At<void> operator()(const Finished& event) const {
    const auto plan = put(event.plan), state = put(event.state);
    return fbs::CreateFinished(builder, &plan, &state, event.done, event.failed, event.undone, event.skipped, event.generation)
        .Union();
  }
  At<void> operator()(const StateText& event) const {
    const auto state = put(event.state);
    const auto offer = builder.CreateVector(event.offer);
    return fbs::CreateStateText(builder, &state, event.generation, offer).Union();
  }
  At<void> operator()(const Watching&) const { return fbs::CreateWatching(builder).Union(); }
  At<void> operator()(const Ended& event) const {
    return fbs::CreateEnded(builder, put(builder, event.subject, kMaxSubjectText)).Union();
  }
  At<void> operator()(const Busy&) const { return fbs::CreateBusy(builder).Union(); }
  At<void> operator()(const Failed& event) const { return fbs::CreateFailed(builder, put(builder, event.error)).Union(); }
  At<void> operator()(const Readings& event) const {
    std::vector<fbs::Reading> readings;
    for (const Reading& reading : event.readings) readings.push_back(to_fbs(reading));
    return fbs::CreateReadings(builder, builder.CreateVectorOfStructs(readings), event.more ? 1 : 0).Union();
  }
};

// The tag in the union is the place in the variant, from 1.
template <class Tag, class Variant>
constexpr bool tags_match() {
  return static_cast<std::size_t>(Tag::MAX) == std::variant_size_v<Variant>;
}
static_assert(tags_match<fbs::RequestBody, Request>() && tags_match<fbs::EventBody, Event>());
static_assert(std::is_same_v<std::variant_alternative_t<static_cast<std::size_t>(fbs::EventBody::Failed) - 1, Event>, Failed>);
static_assert(std::is_same_v<std::variant_alternative_t<static_cast<std::size_t>(fbs::RequestBody::Watch) - 1, Request>, Watch>);
static_assert(std::is_same_v<std::variant_alternative_t<static_cast<std::size_t>(fbs::RequestBody::AskReadings) - 1, Request>, AskReadings>);
static_assert(std::is_same_v<std::variant_alternative_t<static_cast<std::size_t>(fbs::EventBody::Readings) - 1, Event>, Readings>);

Result<Request> get(const fbs::Submit& from) {
  Submit submit;
  if (from.mode() > static_cast<std::uint8_t>(Mode::kCheck)) return malformed("a mode that there is not");
  submit.mode = static_cast<Mode>(from.mode());
  if (from.signature() == nullptr || from.signature()->size() != kSignatureBytes) return malformed("a signature of another size");
  std::copy(from.signature()->begin(), from.signature()->end(), submit.signature.begin());
  return submit;
}

// ---- events

Result<Event> get(const fbs::Accepted& from) {
  if (from.plan() == nullptr || from.statements() > lang::kMaxStatements) return malformed("Accepted");
  return Accepted{get(*from.plan()), from.statements()};
}

Result<Event> get(const fbs::Refused& from) {
  if (from.rule() < kFirstRule || from.rule() > kLastRule || from.in_projection() > 1) return malformed("Refused");
  if (!fits(from.statement(), lang::kMaxLineBytes) || !fits(from.why(), kMaxReason) || !fits(from.remedy(), kMaxReason)) {
    return malformed("the text of a refusal");
  }
  return Refused{{static_cast<lang::Rule>(from.rule()), from.line(), from.column(), from.statement()->str(), from.why()->str(),
                  from.remedy()->str()},
                 from.in_projection() != 0};
}

Result<Event> get(const fbs::Progress& from) {
  if (from.index() >= lang::kMaxStatements || from.phase() >= kPhases || !fits(from.line(), lang::kMaxLineBytes)) {
    return malformed("Progress");
  }
  Progress progress{from.index(), from.line()->str(), static_cast<Phase>(from.phase()), {}};
  if ((progress.phase == Phase::kFailed) != (from.error() != nullptr)) return malformed("an error of a success, or none of a failure");
  if (from.error() == nullptr) return progress;
  auto error = get(from.error());
  if (!error) return forward(error.error());
  progress.error = *std::move(error);
  return progress;
}

Result<Event> get(const fbs::Holds& from) {
  if (!fits(from.subject(), kMaxSubjectText) || from.lines() == nullptr || from.lines()->size() > kMaxHeldLines) {
    return malformed("Holds");
  }
  Holds holds{from.subject()->str(), {}};
  for (const flatbuffers::String* line : *from.lines()) {
    if (!fits(line, lang::kMaxLineBytes)) return malformed("a line of a state");
    holds.lines.push_back(line->str());
  }
  return holds;
}

Result<Event> get(const fbs::Finished& from) {
  if (from.plan() == nullptr || from.state() == nullptr || from.generation() > lang::kMaxGeneration) return malformed("Finished");
  const std::uint64_t sum = std::uint64_t{from.done()} + from.failed() + from.undone() + from.skipped();
  if (sum > lang::kMaxStatements) return malformed("more statements than a plan can have");
  return Finished{get(*from.plan()), from.done(), from.failed(), from.undone(), from.skipped(), get(*from.state()), from.generation()};
}

Result<Event> get(const fbs::StateText& from) {
  if (from.state() == nullptr || from.generation() > lang::kMaxGeneration) return malformed("StateText");
  if (from.offer() == nullptr || (from.offer()->size() != 0 && from.offer()->size() != sealing::kOfferBytes)) return malformed("an offer of another size");
  return StateText{get(*from.state()), from.generation(), {from.offer()->begin(), from.offer()->end()}};
}

Result<Event> get(const fbs::Ended& from) {
  if (!fits(from.subject(), kMaxSubjectText)) return malformed("Ended");
  return Ended{from.subject()->str()};
}

Result<Event> get(const fbs::Readings& from) {
  if (from.readings() == nullptr || from.more() > 1 || from.readings()->size() > kMaxReadings) return malformed("Readings");
  if (!is_aligned(*from.readings())) return malformed("readings that are not aligned");
  Readings readings{{}, from.more() != 0};
  for (const fbs::Reading* each : *from.readings()) {
    const auto reading = decode_reading(*each);
    if (!reading) return forward(reading.error());
    if (reading->instance.kind != SubjectKind::kInstance) return malformed("a reading of nobody");
    readings.readings.push_back(*reading);
  }
  return readings;
}

Result<Event> get(const fbs::Failed& from) {
  auto error = get(from.error());
  if (!error) return forward(error.error());
  return Failed{*std::move(error)};
}

}  // namespace

std::vector<std::uint8_t> encode(const Request& request) {
  FlatBufferBuilder builder;
  const auto body = std::visit(Body{builder}, request);
  return finished_bytes(builder, fbs::CreateRequest(builder, static_cast<fbs::RequestBody>(request.index() + 1), body),
                        kRequestIdentifier);
}

Result<Request> decode_request(std::span<const std::uint8_t> bytes) {
  const auto root = checked_root<fbs::Request>(bytes, kRequestIdentifier, kMaxRequest);
  if (!root) return forward(root.error());
  if ((*root)->body() == nullptr) return malformed("a request of nothing");
  switch ((*root)->body_type()) {
    case fbs::RequestBody::Submit: return get(*(*root)->body_as_Submit());
    case fbs::RequestBody::AskState: return AskState{};
    case fbs::RequestBody::Watch: return Watch{};
    case fbs::RequestBody::AskReadings: return AskReadings{};
    case fbs::RequestBody::NONE: break;
  }
  return malformed("a request that there is not");
}

std::vector<std::uint8_t> encode(const Event& event) {
  FlatBufferBuilder builder;
  const auto body = std::visit(Body{builder}, event);
  return finished_bytes(builder, fbs::CreateEvent(builder, static_cast<fbs::EventBody>(event.index() + 1), body), kEventIdentifier);
}

Result<Event> decode_event(std::span<const std::uint8_t> bytes) {
  const auto root = checked_root<fbs::Event>(bytes, kEventIdentifier, kMaxEvent);
  if (!root) return forward(root.error());
  const fbs::Event& from = **root;
  if (from.body() == nullptr) return malformed("an event of nothing");
  switch (from.body_type()) {
    case fbs::EventBody::Accepted: return get(*from.body_as_Accepted());
    case fbs::EventBody::Refused: return get(*from.body_as_Refused());
    case fbs::EventBody::Progress: return get(*from.body_as_Progress());
    case fbs::EventBody::Holds: return get(*from.body_as_Holds());
    case fbs::EventBody::Finished: return get(*from.body_as_Finished());
    case fbs::EventBody::StateText: return get(*from.body_as_StateText());
    case fbs::EventBody::Watching: return Watching{};
    case fbs::EventBody::Ended: return get(*from.body_as_Ended());
    case fbs::EventBody::Busy: return Busy{};
    case fbs::EventBody::Failed: return get(*from.body_as_Failed());
    case fbs::EventBody::Readings: return get(*from.body_as_Readings());
    case fbs::EventBody::NONE: break;
  }
  return malformed("an event that there is not");
}

}  // namespace mvm::wire
