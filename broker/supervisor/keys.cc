#include "broker/supervisor/keys.h"

#include <algorithm>
#include <set>

#include "broker/supervisor/signature.h"
#include "policy-lang/print.h"
#include "policy-lang/verify.h"
#include "schemas/needs.h"

namespace mvm::supervisor {
namespace {

using lang::Statement;
using sealing::Envelope;
using sealing::Label;
using wire::needs_of;

struct Reason {
  std::string why, remedy;
};

std::string_view text_of(sealing::Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

std::optional<Reason> check(const Envelope* envelope, const Label& need, const KeyRules& rules) {
  const std::string what = to_string(need);
  if (!rules.recipient) {
    return Reason{"it needs " + what + ", and this node has no identity that keys could be sealed to", "give hostd an identity (`mvm key identity`) and start it again"};
  }
  const std::string seal_it = "have it sealed for generation " + std::to_string(need.generation) + " to the offer that hostd makes now";
  if (envelope == nullptr) return Reason{"it needs " + what + ", and no envelope with it, for this node and generation, came with the plan", seal_it};
  if (envelope->recipient != *rules.recipient) return Reason{"the envelope with " + what + " is sealed to another start of hostd", seal_it};
  const auto signer = std::ranges::find(rules.sealers, Digest{envelope->signer});
  if (signer == rules.sealers.end() || !is_signed_by_one({&*signer, 1}, text_of(envelope->signed_bytes), envelope->signature)) {
    return Reason{"nobody whom the node's policy lets seal keys signed the envelope with " + what,
                  "have it sealed by a key that a `coordinator` or `sealer` line of the policy names"};
  }
  return std::nullopt;
}

}  // namespace

Result<Keys> Keys::read(std::string bundle) {
  Keys keys;
  keys.bytes_.assign(bundle.begin(), bundle.end());
  const auto envelopes = sealing::read_bundle(keys.bytes_);
  if (!envelopes) return forward(envelopes.error());
  for (const Envelope& envelope : *envelopes) keys.envelopes_.emplace(envelope.label, envelope);
  return keys;
}

lang::Checked<void> Keys::cover(const lang::Document& plan, const lang::Document& state, const KeyRules& rules) const {
  std::set<Label> sound;
  const auto needs = wire::needs_of_plan(plan, state);
  for (std::size_t i = 0; i < plan.statements.size(); ++i) {
    for (const Label& need : needs[i]) {
      if (sound.contains(need)) continue;
      const auto found = envelopes_.find(need);
      auto reason = check(found == envelopes_.end() ? nullptr : &found->second, need, rules);
      if (!reason) {
        sound.insert(need);
        continue;
      }
      return std::unexpected(lang::Refusal{lang::Rule::kAuthority, lang::first_statement_line(lang::Kind::kPlan) + static_cast<std::uint32_t>(i), 0,
                                           lang::print(plan.statements[i]), std::move(reason->why), std::move(reason->remedy)});
    }
  }
  return {};
}

std::vector<std::vector<std::uint8_t>> Keys::for_statement(const Statement& statement, const Name& node, std::uint64_t generation, const Statement* snapshot) const {
  std::vector<std::vector<std::uint8_t>> out;
  for (const Label& need : needs_of(statement, node, generation, snapshot)) {
    const auto found = envelopes_.find(need);
    if (found != envelopes_.end()) out.emplace_back(found->second.whole.begin(), found->second.whole.end());
  }
  return out;
}

}  // namespace mvm::supervisor
