// One round: what agentd misses is read, the offer in it checked, and each tenant's key that is not sealed yet is fetched, sealed to that offer
// and written where agentd looks for it. Holds nothing between rounds but what it is given.
// Nothing that agentd writes is believed but that it misses something: the offer must be signed by the identity that the configuration names,
// and be of no older start than was seen. So the most that a broken agentd has by it is keys, sealed to hostd.
// Proven by: tests/vault/round_test.cc; as a process by tests/sandbox/vault_ablation_test.cc; on a node by tests/node/storage/vault_test.sh.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "sealing/envelope.h"
#include "vault/signer.h"
#include "vault/source.h"

namespace mvm::vault {

struct Places {
  std::string wanted = "/run/mvm-agentd/wanted";
  std::string sealed = "/run/mvm-vault";         // envelopes, each under its name (sealing::envelope_name)
  std::string starts = "/var/lib/mvm-vault/start";  // the newest start of hostd that was seen
};

struct Means {
  const Config& config;
  const Certificates& certificates;
  const Signer& signer;
  const SecretArena& arena;
  const Places& places;
  Timeouts timeouts = {};
};

struct Missed {
  sealing::Label label;
  Failure failure;
};

struct Report {
  std::uint64_t generation = 0;      // that is wanted; 0: nothing is
  std::optional<Failure> failure;    // of all of it: the offer, the file, the server
  std::vector<Missed> missed;        // of one key each; and those that the server was not asked for
  std::vector<sealing::Label> sealed;  // in this round
  std::optional<Failure> log_out;    // the token lives until its time is over
  [[nodiscard]] bool good() const { return !failure && missed.empty(); }
};

[[nodiscard]] Report serve_round(const Means& means);

// The report as one JSON object. What was sealed in one round alone is not in it.
[[nodiscard]] std::string to_json(const Report& report);

}  // namespace mvm::vault
