// The envelopes that a plan needs. agentd looks for them by their labels and sends them along; it reads what stands on them and has
// nothing to open them with (tests/docs/links.py).
// One interface for whoever seals, the coordinator and what asks a vault alike: envelopes lie in a directory, each in a file that
// sealing::envelope_name() names. Files are opened below such directories by exact names; nothing is listed, no symlink followed, nothing written.
// Proven by: tests/planner/keys_test.cc; that no key can be read out of an agentd that carries it, by tests/node/storage/key_hunt_test.sh.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/digest.h"
#include "base/error.h"
#include "policy-lang/statement.h"
#include "sealing/offer.h"

namespace mvm::planner {

// To whom hostd's offer says that keys are to be sealed. Nothing where it is none.
[[nodiscard]] std::optional<Digest> recipient_of(sealing::Bytes offer);

[[nodiscard]] std::map<Subject, lang::Statement> snapshots_in(const lang::Document& state);

// For one step: what is in a directory is looked at once.
class Envelopes {
 public:
  struct Whose {
    Name node;
    std::uint64_t generation = 0;
    std::optional<Digest> recipient;  // none: hostd offers nothing, so there is none for it
    std::map<Subject, lang::Statement> snapshots = {};  // of those that sleep: waking one needs the key that its line names
  };
  // Looked for in the directories in their order; those without a name are left out.
  Envelopes(const Whose& whose, std::vector<std::string> directories) : whose_(whose), directories_(std::move(directories)) {}

  // Why a statement cannot be run just now: the key or content that has not come. Nothing where it can.
  [[nodiscard]] std::optional<std::string> hinders(const lang::Statement& statement);
  // The bundle of what the statements need. Without what is missing.
  [[nodiscard]] Result<std::vector<std::uint8_t>> bundle(const std::vector<lang::Statement>& statements);
  // All that was asked for and is not there.
  [[nodiscard]] const std::set<sealing::Label>& missing() const { return missing_; }

 private:
  using Bytes = std::vector<std::uint8_t>;
  // What is there under that name and is no such envelope counts as none: hostd would refuse the plan for it.
  [[nodiscard]] const Bytes* find(const sealing::Label& label);
  [[nodiscard]] std::vector<sealing::Label> needs_of(const lang::Statement& statement) const;

  Whose whose_;
  std::vector<std::string> directories_;
  std::map<sealing::Label, Bytes> found_;
  std::set<sealing::Label> missing_;
};

}  // namespace mvm::planner
