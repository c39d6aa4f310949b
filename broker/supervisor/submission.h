// From what came over the socket to a plan that may run, and nothing less. In this order, and the first that fails is the
// answer: the memfds are sealed; a coordinator of the policy signed the projection's bytes; gate parses both and print()
// agrees; V6, V2 to V5; every statement has an executor here; every key that it needs came sealed to this start of hostd.
// Proven by: tests/supervisor/refusal_test.cc.
#pragma once

#include <expected>
#include <string>

#include "broker/supervisor/host.h"
#include "broker/supervisor/keys.h"
#include "policy-lang/verify.h"

namespace mvm::supervisor {

struct Submitted {
  wire::Submit request;
  Fd plan, projection, keys;
};

struct Admitted {
  lang::VerifiedPlan plan;
  lang::Document projection;
  Keys keys;
};
struct Verdict {
  Digest plan_bytes;                                // SHA-256 of the plan as it came, all of it; zero where it was not read
  std::expected<Admitted, wire::Event> admitted;    // or the last event of the request, Refused or Failed
};
// An error: gate cannot be trusted any more, and hostd ends.
[[nodiscard]] Result<Verdict> admit(Host& host, const Submitted& submitted);

// The first statement that this host's workers do not do, as a refusal: a kind of snapshot.
[[nodiscard]] lang::Checked<void> supports(const lang::Document& plan);

// The line of the audit log.
[[nodiscard]] std::string verdict_line(wire::Mode mode, const Verdict& verdict);

}  // namespace mvm::supervisor
