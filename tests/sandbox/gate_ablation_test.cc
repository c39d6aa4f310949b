// Needs root.
#include <sys/socket.h>
#include <sysexits.h>

#include "broker/supervisor/gate_client.h"
#include "schemas/plan.h"
#include "tests/gate/texts.h"
#include "tests/sandbox/ablation.h"

namespace mvm {
namespace {

sandbox::Worker start(const std::vector<seccomp::Line>& lines) {
  static const test::Runnable executable(MVM_GATE_UNDER_TEST);
  return test::start_with(executable, "gate", lines, sandbox::Channel::kStream);
}

// A text parsed, one refused, and an end because the channel closes.
bool serves(const std::vector<seccomp::Line>& lines) {
  auto worker = start(lines);
  bool parsed = false;
  {
    supervisor::GateClient client(std::move(worker.channel));
    const auto plan = client.parse(lang::Kind::kPlan, lang::print(test::a_plan()));
    const auto refused = client.parse(lang::Kind::kPlan, "no plan\n");
    parsed = plan && *plan && refused && !*refused;
  }
  return test::ended(worker) == EX_OK && parsed;
}

bool says_why_it_ends(const std::vector<seccomp::Line>& lines) {
  auto worker = start(lines);
  const wire::GateRequest request{99, 0};
  return send(worker.channel.get(), &request, sizeof request, MSG_NOSIGNAL) == sizeof request && test::ended(worker) == EX_PROTOCOL;
}

bool all_of_gate(const std::vector<seccomp::Line>& lines) { return serves(lines) && says_why_it_ends(lines); }

MVM_ABLATION(GateGrant, "gate", all_of_gate)

}  // namespace
}  // namespace mvm
