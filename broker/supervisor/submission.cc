#include "broker/supervisor/submission.h"

#include "base/sealed.h"
#include "broker/supervisor/signature.h"
#include "broker/supervisor/steps.h"
#include "policy-lang/print.h"
#include "sealing/offer.h"

namespace mvm::supervisor {
namespace {

using lang::Kind;
using lang::Refusal;
using lang::Rule;
using lang::Statement;
using lang::Word;
using Admission = std::expected<Admitted, wire::Event>;

enum class Text : std::uint8_t { kPlan, kProjection };

Admission failed(const Error& error) { return std::unexpected<wire::Event>(wire::Failed{error}); }
Admission refused(Refusal refusal, Text text) {
  return std::unexpected<wire::Event>(wire::Refused{std::move(refusal), text == Text::kProjection});
}

Admission unsigned_projection() {
  return refused({Rule::kAuthority, 0, 0, {}, "no coordinator of the node's policy made this signature over these bytes",
                  "have the projection signed by a key that a `coordinator` line of the policy names"},
                 Text::kProjection);
}

std::string why_unsupported(const Statement& statement) {
  if (!makes_snapshot(statement) || lang::snapshot_view(statement).key_version != 0) return "";
  return "not supported by this host: a snapshot is never written without a key";
}

}  // namespace

lang::Checked<void> supports(const lang::Document& plan) {
  for (std::size_t i = 0; i < plan.statements.size(); ++i) {
    std::string why = why_unsupported(plan.statements[i]);
    if (why.empty()) continue;
    return std::unexpected(Refusal{Rule::kPolicy, lang::first_statement_line(Kind::kPlan) + static_cast<std::uint32_t>(i), 0,
                                   lang::print(plan.statements[i]), std::move(why), "a plan without it"});
  }
  return {};
}

namespace {

KeyRules key_rules(const Host& host) {
  KeyRules rules{std::nullopt, host.policy.sealers};
  if (const auto offer = sealing::read_offer(host.offer)) rules.recipient = sealing::key_id(offer->offer.key);
  return rules;
}

Result<Admission> admit_texts(Host& host, const wire::Submit& request, const std::string& plan_text, const std::string& projection_text,
                              Keys keys) {
  if (!is_signed_by_one(host.policy.coordinators, projection_text, request.signature)) return unsigned_projection();

  auto projection = host.gate.parse(Kind::kProjection, projection_text);
  if (!projection) return forward(projection.error());
  if (!*projection) return refused(std::move(projection->error()), Text::kProjection);
  auto plan = host.gate.parse(Kind::kPlan, plan_text);
  if (!plan) return forward(plan.error());
  if (!*plan) return refused(std::move(plan->error()), Text::kPlan);

  lang::Document wanted = std::move(**projection).document();
  // verify() asks this too; here it is known which text it is said of.
  if (auto fit = lang::verify_projection(wanted, host.policy.text); !fit) return refused(std::move(fit.error()), Text::kProjection);
  const lang::Document state = host.state.document();
  auto verified = lang::verify(std::move(**plan).document(), {state, wanted, host.policy.text});
  if (!verified) return refused(std::move(verified.error()), Text::kPlan);
  if (auto supported = supports(verified->plan()); !supported) return refused(std::move(supported.error()), Text::kPlan);
  if (auto covered = keys.cover(verified->plan(), state, key_rules(host)); !covered) return refused(std::move(covered.error()), Text::kPlan);
  return Admitted{*std::move(verified), std::move(wanted), std::move(keys)};
}

}  // namespace

Result<Verdict> admit(Host& host, const Submitted& submitted) {
  const auto plan_text = read_sealed(submitted.plan, lang::kMaxTextBytes);
  if (!plan_text) return Verdict{{}, failed(plan_text.error())};
  const Digest plan_bytes = sha256(*plan_text);
  const auto projection_text = read_sealed(submitted.projection, lang::kMaxTextBytes);
  if (!projection_text) return Verdict{plan_bytes, failed(projection_text.error())};
  auto bundle = read_sealed(submitted.keys, sealing::kMaxBundle);
  if (!bundle) return Verdict{plan_bytes, failed(bundle.error())};
  auto keys = Keys::read(*std::move(bundle));
  if (!keys) return Verdict{plan_bytes, failed(keys.error())};
  auto admitted = admit_texts(host, submitted.request, *plan_text, *projection_text, *std::move(keys));
  if (!admitted) return forward(admitted.error());
  return Verdict{plan_bytes, *std::move(admitted)};
}

std::string verdict_line(wire::Mode mode, const Verdict& verdict) {
  std::string line = mode == wire::Mode::kApply ? "submit" : "check";
  line += " bytes=" + to_string(verdict.plan_bytes);
  if (verdict.admitted) {
    const lang::Document& plan = verdict.admitted->plan.plan();
    return line + " plan=" + to_string(lang::text_digest(plan)) + " desired=" + to_string(plan.header.desired) +
           " statements=" + std::to_string(plan.statements.size()) + " accepted";
  }
  const wire::Event& event = verdict.admitted.error();
  if (const auto* refusal = std::get_if<wire::Refused>(&event)) {
    return line + " refused " + (refusal->in_projection ? "projection: " : "plan: ") + refusal->refusal.message();
  }
  return line + " failed " + std::get<wire::Failed>(event).error.message();
}

}  // namespace mvm::supervisor
