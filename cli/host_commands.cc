#include <fcntl.h>

#include <iostream>
#include <memory>

#include "base/audit_chain.h"
#include "cli/commands.h"
#include "cli/events.h"
#include "cli/preflight.h"
#include "cli/texts.h"
#include "planner/files.h"
#include "policy-lang/print.h"

namespace mvm::cli {
namespace {

constexpr std::size_t kMaxAuditLog = std::size_t{1} << 30;

int print_state(const Context& context) {
  auto state = host_state(context.host);
  if (!state) return report(context, "the state", state.error());
  if (!context.output.json) {
    std::cout << lang::print(*state);
    return kOk;
  }
  Json json{{"node", std::string(state->header.node.view())}, {"generation", state->header.generation},
            {"digest", to_string(lang::text_digest(*state))}, {"statements", Json::array()}};
  for (const auto& statement : state->statements) json["statements"].push_back(to_json(statement));
  std::cout << json.dump(2) << '\n';
  return kOk;
}

int watch(const Context& context) {
  auto client = connect_host(context.host);
  if (!client) return error(context.output, client.error().message());
  const Status ended = client->watch([&](const wire::Event& event) { print_event(context.output, event); }, [] { return true; });
  return ended ? kOk : error(context.output, ended.error().message());
}

enum class Told : std::uint8_t { kAll, kWhatFails };

int run_preflight(const Context& context, const PreflightPaths& paths, Told told) {
  std::vector<Finding> findings = preflight(paths);
  const bool good = may_start(findings);
  if (told == Told::kWhatFails) std::erase_if(findings, [](const Finding& finding) { return finding.verdict != Verdict::kFail; });
  if (context.output.json) {
    Json json{{"may_start", good}, {"checks", Json::array()}};
    for (const Finding& finding : findings) {
      json["checks"].push_back({{"check", finding.check}, {"verdict", std::string(to_string(finding.verdict))},
                                {"reading", finding.reading}, {"remedy", finding.remedy}});
    }
    std::cout << json.dump(2) << '\n';
    return good ? kOk : kRefused;
  }
  for (const Finding& finding : findings) {
    const Tint colour = finding.verdict == Verdict::kPass ? Tint::kGood : finding.verdict == Verdict::kFail ? Tint::kBad : finding.verdict == Verdict::kWarn ? Tint::kMove : Tint::kDim;
    std::cout << tint(context.output, colour, to_string(finding.verdict)) << "  " << finding.check << ": " << finding.reading << '\n';
    if (!finding.remedy.empty()) std::cout << "      mend: " << finding.remedy << '\n';
  }
  std::cout << (good ? "this host may start mvm\n" : "this host may not start mvm\n");
  return good ? kOk : kRefused;
}

int verify_audit_log(const Context& context, const std::string& directory) {
  // The head first: what is appended in between only lengthens the tail.
  auto head = planner::read_file(AT_FDCWD, directory + "/head", kAuditHeadBytes);
  if (!head) return error(context.output, head.error().message());
  auto log = planner::read_file(AT_FDCWD, directory + "/log", kMaxAuditLog);
  if (!log) return error(context.output, log.error().message());
  const auto verified = mvm::verify_audit(*log, *head);
  if (!verified) {
    const AuditFault& fault = verified.error();
    if (context.output.json) std::cout << Json{{"sound", false}, {"line", fault.line}, {"why", fault.why}}.dump(2) << '\n';
    else std::cout << tint(context.output, Tint::kBad, "broken") << " at line " << fault.line << ": " << fault.why << '\n';
    return kRefused;
  }
  const AuditTail& tail = *verified;
  if (context.output.json) {
    std::cout << Json{{"sound", true}, {"lines", tail.head.lines}, {"hash", to_string(tail.head.hash)}, {"torn_bytes", tail.torn_bytes}}.dump(2) << '\n';
  } else {
    std::cout << tint(context.output, Tint::kGood, "sound") << ": " << tail.head.lines << " lines, the last is " << to_string(tail.head.hash) << '\n';
  }
  return kOk;
}

}  // namespace

void add_host_commands(CLI::App& app, Context& context) {
  CLI::App* state = app.add_subcommand("state", "print what is on this host, as hostd holds it");
  state->footer("Example:\n  mvm state > before.state");
  state->callback([&context] { context.exit_code = print_state(context); });

  CLI::App* watcher = app.add_subcommand("watch", "print what hostd does, as it does it");
  watcher->footer("Example:\n  mvm watch --json");
  watcher->callback([&context] { context.exit_code = watch(context); });

  CLI::App* audit = app.add_subcommand("audit", "the audit log");
  audit->require_subcommand(1);
  CLI::App* verify = audit->add_subcommand("verify", "find any line that was changed, cut, put in or moved; exit 1 where there is one");
  verify->footer("Example:\n  mvm audit verify\n  mvm audit verify /backup/audit --json");
  auto directory = std::make_shared<std::string>("/var/lib/mvm/audit");
  verify->add_option("directory", *directory, "where log and head are")->capture_default_str();
  verify->callback([&context, directory] { context.exit_code = verify_audit_log(context, *directory); });

  auto paths = std::make_shared<PreflightPaths>();
  CLI::App* check = app.add_subcommand("preflight", "check this host; exit 1 where hostd may not start");
  check->footer("Example:\n  mvm preflight");
  check->add_option("--state-dir", paths->state, "where instances are kept")->capture_default_str();
  check->add_option("--bin-dir", paths->binaries, "where firecracker and jailer are")->capture_default_str();
  check->add_option("--pins", paths->pins, "their SHA-256, as sha256sum prints it")->capture_default_str();
  auto only_failures = std::make_shared<bool>(false);
  check->add_flag("--only-failures", *only_failures, "tell only what keeps hostd from starting");
  check->callback([&context, paths, only_failures] {
    context.exit_code = run_preflight(context, *paths, *only_failures ? Told::kWhatFails : Told::kAll);
  });
}

}  // namespace mvm::cli
