#include "schemas/agent.h"

#include <algorithm>

#include "schemas/agent_generated.h"
#include "schemas/checked_root.h"
#include "schemas/statement_codec.h"

namespace mvm::wire {
namespace {

constexpr const char* kRequestIdentifier = "MVAR";
constexpr const char* kAnswerIdentifier = "MVAA";

using flatbuffers::FlatBufferBuilder;

std::unexpected<Error> malformed(const char* what) { return fail(Errc::kMalformed, "decode a message of agentd's", what); }

bool is_printable(char c) { return c >= ' ' && c <= '~'; }

Result<Subject> subject_of(const fbs::Subject* from, SubjectKind kind) {
  if (from == nullptr) return malformed("a request about nothing");
  auto subject = decode_subject(*from);
  if (subject && subject->kind != kind) return malformed("a request about something else");
  return subject;
}

struct Body {
  FlatBufferBuilder& builder;
  flatbuffers::Offset<void> operator()(const WakePool& wake) const {
    const fbs::Subject pool = to_fbs(wake.pool);
    return fbs::CreateWakePool(builder, &pool, wake.count).Union();
  }
  flatbuffers::Offset<void> operator()(const HoldInstance& hold) const {
    const fbs::Subject instance = to_fbs(hold.instance);
    return fbs::CreateHoldInstance(builder, &instance, hold.seconds).Union();
  }
  flatbuffers::Offset<void> operator()(const RestInstance& rest) const {
    const fbs::Subject instance = to_fbs(rest.instance);
    return fbs::CreateRestInstance(builder, &instance).Union();
  }
};
static_assert(static_cast<std::size_t>(fbs::AgentBody::MAX) == std::variant_size_v<AgentRequest>);
static_assert(std::is_same_v<std::variant_alternative_t<static_cast<std::size_t>(fbs::AgentBody::WakePool) - 1, AgentRequest>, WakePool>);
static_assert(std::is_same_v<std::variant_alternative_t<static_cast<std::size_t>(fbs::AgentBody::RestInstance) - 1, AgentRequest>, RestInstance>);

Result<AgentRequest> get(const fbs::WakePool& from) {
  const auto pool = subject_of(from.pool(), SubjectKind::kPool);
  if (!pool) return forward(pool.error());
  if (from.count() == 0 || from.count() > kMaxWakes) return malformed("a count out of range");
  return WakePool{*pool, from.count()};
}

Result<AgentRequest> get(const fbs::HoldInstance& from) {
  const auto instance = subject_of(from.instance(), SubjectKind::kInstance);
  if (!instance) return forward(instance.error());
  if (from.seconds() > kMaxHold) return malformed("a time out of range");
  return HoldInstance{*instance, from.seconds()};
}

Result<AgentRequest> get(const fbs::RestInstance& from) {
  const auto instance = subject_of(from.instance(), SubjectKind::kInstance);
  if (!instance) return forward(instance.error());
  return RestInstance{*instance};
}

}  // namespace

std::vector<std::uint8_t> encode(const AgentRequest& request) {
  FlatBufferBuilder builder;
  const auto body = std::visit(Body{builder}, request);
  return finished_bytes(builder, fbs::CreateAgentRequest(builder, static_cast<fbs::AgentBody>(request.index() + 1), body), kRequestIdentifier);
}

Result<AgentRequest> decode_agent_request(std::span<const std::uint8_t> bytes) {
  const auto root = checked_root<fbs::AgentRequest>(bytes, kRequestIdentifier, kMaxAgentMessage);
  if (!root) return forward(root.error());
  const fbs::AgentRequest& from = **root;
  if (from.body() == nullptr) return malformed("a request of nothing");
  switch (from.body_type()) {
    case fbs::AgentBody::WakePool: return get(*from.body_as_WakePool());
    case fbs::AgentBody::HoldInstance: return get(*from.body_as_HoldInstance());
    case fbs::AgentBody::RestInstance: return get(*from.body_as_RestInstance());
    case fbs::AgentBody::NONE: break;
  }
  return malformed("a request that there is not");
}

std::vector<std::uint8_t> encode(const AgentAnswer& answer) {
  FlatBufferBuilder builder;
  std::string why = answer.why.substr(0, kMaxWhy);
  std::ranges::replace_if(why, [](char c) { return !is_printable(c); }, '?');
  const auto why_at = builder.CreateString(why);
  return finished_bytes(builder, fbs::CreateAgentAnswer(builder, answer.done ? 1 : 0, answer.awake, answer.woken, why_at), kAnswerIdentifier);
}

Result<AgentAnswer> decode_agent_answer(std::span<const std::uint8_t> bytes) {
  const auto root = checked_root<fbs::AgentAnswer>(bytes, kAnswerIdentifier, kMaxAgentMessage);
  if (!root) return forward(root.error());
  const fbs::AgentAnswer& from = **root;
  if (from.done() > 1) return malformed("a truth value that is neither");
  if (from.why() == nullptr || from.why()->size() > kMaxWhy || !std::all_of(from.why()->begin(), from.why()->end(), is_printable)) return malformed("a reason");
  return AgentAnswer{from.done() != 0, from.awake(), from.woken(), from.why()->str()};
}

}  // namespace mvm::wire
