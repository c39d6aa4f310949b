// The envelopes that came with a plan, and which of them a statement of it needs. The supervisor carries them to the worker that opens
// them, and cannot open one: it links no HPKE (tests/docs/links.py). Owns the bundle's bytes. Pure.
// A '+' of what has a key, or content, needs it, and so does a jail that wakes; nothing else does. So an undo needs none: what would have to be made again with a key
// (volume, luksOpen, secrets, config, snapshot) cannot be undone once it is removed, and says so in the table (`irreversible`). Recovery
// only removes.
// Proven by: tests/supervisor/keys_test.cc.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "policy-lang/statement.h"
#include "policy-lang/text_error.h"
#include "sealing/bundle.h"

namespace mvm::supervisor {

// Whom envelopes must be sealed to, and who may seal them.
struct KeyRules {
  std::optional<Digest> recipient;  // key_id() of this start's offer; none: this node offers nothing
  std::span<const Digest> sealers;  // Ed25519 public keys
};

class Keys {
 public:
  Keys() = default;
  Keys(Keys&&) = default;
  Keys& operator=(Keys&&) = default;

  // kMalformed, kLimit: no bundle. No envelope has been looked into further than its form.
  [[nodiscard]] static Result<Keys> read(std::string bundle);
  // Whether all that the statements of a plan from `state` need is there, sealed to this start, and signed by one who may. The first that is not
  // is the refusal. What nobody needs is not looked at.
  [[nodiscard]] lang::Checked<void> cover(const lang::Document& plan, const lang::Document& state, const KeyRules& rules) const;
  // The envelopes for a task; of a plan that is covered, one for each need. `snapshot`: the instance's line, or none.
  [[nodiscard]] std::vector<std::vector<std::uint8_t>> for_statement(const lang::Statement& statement, const Name& node, std::uint64_t generation,
                                                                     const lang::Statement* snapshot = nullptr) const;

 private:
  std::vector<std::uint8_t> bytes_;  // a vector's bytes stay where they are when it is moved
  std::map<sealing::Label, sealing::Envelope> envelopes_;
};

}  // namespace mvm::supervisor
