// Needs root. A whole agentd below a directory of its own, with hostd played by the test.
#include <sysexits.h>

#include <csignal>

#include "planner/agent_client.h"
#include "sealing/wanted.h"
#include "tests/sandbox/agentd_process.h"

namespace mvm::test {
namespace {

// A stop and a continue while it waits, as a debugger or a freezer of the host's makes them.
void stop_and_continue(const AgentdProcess& agentd) {
  usleep(50'000);  // until it waits
  agentd.signal(SIGSTOP);
  usleep(20'000);
  agentd.signal(SIGCONT);
  usleep(20'000);
}

sealing::Label key_of(const char* tenant) { return {*Name::from("node-7"), sealing::Purpose::kTenantKey, *Name::from(tenant), 1, {}, 5}; }

// What agentd says that it waits for, to who seals beside it.
bool wants(const AgentdProcess& agentd, const std::vector<sealing::Label>& labels) {
  return agentd.comes_to([&] {
    std::ifstream file(agentd.wanted_file(), std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    const auto wanted = sealing::read_wanted({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
    return wanted && wanted->labels == labels && std::ranges::equal(wanted->offer, an_offer());
  });
}

void bring(const sealing::Label& label, const std::string& directory) {
  const auto envelope = an_envelope(label);
  AgentdProcess::put(directory + "/" + sealing::envelope_name(label), {reinterpret_cast<const char*>(envelope.data()), envelope.size()});
}

// hostd offers to open keys; two are missed, come by their two ways, and are taken along; hostd offers nothing any more.
bool carries_keys(const AgentdProcess& agentd) {
  agentd.want(projection_text(5, kPrune + tenant("acme", 3) + pool("acme/db", {.running = 1, .data = 16}) + tenant("bolt", 4) +
                                     pool("bolt/db", {.running = 1, .data = 16})));
  {
    const auto hostd = agentd.play_hostd({a_refusal()}, empty_state(), an_offer());
    if (!agentd.says("\"missing\": [\n    \"key acme/1\",\n    \"key bolt/1\"\n  ]")) return false;
    if (!agentd.comes_to([&] { return std::filesystem::exists(agentd.offer_file()); })) return false;
    if (!wants(agentd, {key_of("acme"), key_of("bolt")})) return false;
    bring(key_of("acme"), agentd.sealed());
    if (!wants(agentd, {key_of("bolt")})) return false;
    bring(key_of("bolt"), agentd.vault());
    if (!agentd.says("\"missing\": []") || !wants(agentd, {})) return false;
  }
  const auto hostd = agentd.play_hostd({a_refusal()});
  return agentd.comes_to([&] { return !std::filesystem::exists(agentd.offer_file()) && !std::filesystem::exists(agentd.wanted_file()); });
}

// Somebody on the node asks for something that there is not.
bool answers_who_asks(const AgentdProcess& agentd) {
  const auto answer = planner::ask_agent(agentd.own_socket(), wire::HoldInstance{instance_subject(*Name::from("acme"), *Name::from("web"), InstanceId{1}), 5});
  return answer && !answer->done;
}

// Without hostd, with it, a plan submitted, hostd gone once more, and a text that cannot be parsed.
bool serves(const std::vector<seccomp::Line>& lines) {
  AgentdProcess agentd;
  AgentdProcess::put(agentd.desired() + "/long.projection", std::string(1 << 20, 'x'));
  agentd.start(lines);
  if (!agentd.says("connect to hostd")) return false;
  struct stat status {};
  if (stat(agentd.status_file().c_str(), &status) != 0 || (status.st_mode & 07777) != 0644) return false;
  {
    const auto hostd = agentd.play_hostd({a_refusal()});
    if (!agentd.says("\"idle\"")) return false;
    stop_and_continue(agentd);
    agentd.want(a_projection(4));
    if (!agentd.says("\"refused\"")) return false;
  }
  if (!answers_who_asks(agentd)) return false;
  if (!carries_keys(agentd)) return false;
  agentd.put_policy("no policy\n");
  return agentd.says("parse the policy");
}

bool ends_where_it_must(const std::vector<seccomp::Line>& lines) {
  AgentdProcess agentd;
  agentd.start(lines);
  if (!agentd.says("connect to hostd")) return false;
  std::filesystem::remove_all(agentd.desired());
  std::filesystem::create_directory(agentd.desired());
  return agentd.ended() == EX_TEMPFAIL;
}

bool all_of_agentd(const std::vector<seccomp::Line>& lines) { return serves(lines) && ends_where_it_must(lines); }

MVM_ABLATION(AgentdGrant, "agentd", all_of_agentd)

}  // namespace
}  // namespace mvm::test
