// Needs root. A whole hostd below a directory of its own, with doubles for net and jail.
#include "tests/sandbox/ablation.h"
#include "tests/supervisor/hostd_process.h"

namespace mvm::test {
namespace {

void give(const HostdProcess& hostd, const std::vector<seccomp::Line>& lines) {
  std::string text;
  for (const auto& line : lines) text += line.text() + " : " + line.reason + "\n";
  HostdProcess::put(hostd.prefix() + "/supervisor.policy", text);
}

bool finishes(const Reply& reply) {
  const auto* finished = reply.last ? std::get_if<wire::Finished>(&*reply.last) : nullptr;
  return finished != nullptr && finished->complete();
}

// A stop and a continue while it waits, as a debugger or a freezer of the host's makes them.
bool goes_on_after_a_stop(HostdProcess& hostd) {
  usleep(50'000);  // until it waits
  kill(hostd.pid(), SIGSTOP);
  usleep(20'000);
  kill(hostd.pid(), SIGCONT);
  usleep(20'000);
  return !hostd.gone() && hostd.state().statements.empty();
}

bool ends_when_told(HostdProcess& hostd) {
  hostd.kill_it(SIGTERM);
  return WIFEXITED(hostd.status) && WEXITSTATUS(hostd.status) == 0;
}

// As a crash in the middle of a write leaves it.
void tear_the_audit_log(const HostdProcess& hostd) {
  std::ofstream(hostd.prefix() + "/state/audit/log", std::ios::app) << "half a li";
}

// As many as a pool may have, so that memory has to grow.
constexpr int kMany = 100;

Reply reach(HostdProcess& hostd, const std::vector<lang::Statement>& lines, std::uint64_t generation) {
  const std::string projection = projection_text(generation, kMany);
  return hostd.submit(plan_text(hostd.state(), lines, projection), projection);
}

bool serves(const std::vector<seccomp::Line>& lines) {
  HostdProcess hostd;
  give(hostd, lines);
  if (!hostd.start() || !goes_on_after_a_stop(hostd) || !finishes(reach(hostd, running_lines(kMany, kMany), 1))) return false;
  if (!ends_when_told(hostd)) return false;
  tear_the_audit_log(hostd);
  if (!hostd.start() || hostd.state().statements != running_lines(kMany, kMany)) return false;
  return finishes(reach(hostd, running_lines(1, 0), 2)) && finishes(reach(hostd, {}, 3)) && ends_when_told(hostd);
}

bool says_why_it_ends(const std::vector<seccomp::Line>& lines) {
  HostdProcess hostd;
  give(hostd, lines);
  HostdProcess::put(hostd.prefix() + "/node.policy", "no policy\n");
  return !hostd.start() && WIFEXITED(hostd.status) && WEXITSTATUS(hostd.status) == 70 && !hostd.errors().empty();
}

bool all_of_supervisor(const std::vector<seccomp::Line>& lines) { return serves(lines) && says_why_it_ends(lines); }

MVM_ABLATION(SupervisorGrant, "supervisor", all_of_supervisor)

}  // namespace
}  // namespace mvm::test
