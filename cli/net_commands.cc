#include <iostream>
#include <memory>
#include <optional>

#include "cli/commands.h"
#include "cli/texts.h"
#include "net-verify/read/read.h"
#include "net-verify/verify.h"

namespace mvm::cli {
namespace {

struct VerifyOptions {
  std::string state;   // a file; empty: ask hostd
  std::string policy;  // a file
  std::string tenant;
};

constexpr int kCannotTell = 2;

std::string_view to_string(verify::Answer answer) {
  switch (answer) {
    case verify::Answer::kSound: return "sound";
    case verify::Answer::kFinding: return "finding";
    case verify::Answer::kCannotTell: return "cannot-tell";
  }
  return "cannot-tell";
}

int exit_code(verify::Answer answer) {
  return answer == verify::Answer::kSound ? kOk : answer == verify::Answer::kFinding ? kRefused : kCannotTell;
}

Json finding_json(const verify::Finding& finding) {
  Json json{{"check", finding.check}, {"nets", finding.nets}, {"what", finding.what}, {"certain", finding.doubt.empty()}};
  if (!finding.doubt.empty()) json["doubt"] = finding.doubt;
  if (!finding.packet.empty()) json["packet"] = Json::object();
  for (const auto& [field, value] : finding.packet) json["packet"][field] = value;
  if (!finding.path.empty()) json["path"] = finding.path;
  return json;
}

void print_json(const verify::Report& report) {
  Json json{{"answer", std::string(to_string(report.answer()))}, {"taps", report.taps}, {"findings", Json::array()}, {"cannot_tell", Json::array()}};
  for (const verify::Finding& finding : report.findings) json["findings"].push_back(finding_json(finding));
  for (const verify::Unsure& unsure : report.cannot_tell) json["cannot_tell"].push_back(unsure.what);
  if (report.untold != 0) json["untold"] = report.untold;
  std::cout << json.dump(2) << '\n';
}

void print_finding(const Output& output, const verify::Finding& finding) {
  const bool certain = finding.doubt.empty();
  std::cout << tint(output, certain ? Tint::kBad : Tint::kMove, certain ? "finding" : "perhaps") << "  " << finding.check << ": " << finding.what << '\n';
  if (!certain) std::cout << "    in doubt: " << finding.doubt << '\n';
  if (!finding.path.empty()) {
    std::cout << "    packet:";
    for (const auto& [field, value] : finding.packet) std::cout << "  " << field << ' ' << value;
    std::cout << (finding.packet.empty() ? "  any" : "") << '\n';
  }
  for (const std::string& step : finding.path) std::cout << "      " << step << '\n';
}

void print_text(const Output& output, const verify::Report& report) {
  for (const verify::Finding& finding : report.findings) print_finding(output, finding);
  if (report.untold != 0) std::cout << "and " << report.untold << " more\n";
  for (const verify::Unsure& unsure : report.cannot_tell) std::cout << tint(output, Tint::kMove, "cannot tell") << "  " << unsure.what << '\n';
  const std::string from = " (packets from " + std::to_string(report.taps) + " taps)\n";
  switch (report.answer()) {
    case verify::Answer::kSound: std::cout << tint(output, Tint::kGood, "sound") << from; return;
    case verify::Answer::kFinding: std::cout << tint(output, Tint::kBad, "not sound") << from; return;
    case verify::Answer::kCannotTell: std::cout << tint(output, Tint::kMove, "cannot tell") << from; return;
  }
}

// The net id of --tenant; nothing where it was not given.
Result<std::optional<std::uint16_t>> net_of(const std::string& tenant, const verify::Expected& expected) {
  if (tenant.empty()) return std::optional<std::uint16_t>{};
  for (const auto& [net, known] : expected.tenants)
    if (known.name.view() == tenant) return std::optional(net);
  return fail(Errc::kNotFound, "find the tenant in the state", tenant);
}

TextResult<verify::Expected> expected_of(const Context& context, const VerifyOptions& options) {
  auto state = options.state.empty() ? host_state(context.host) : load(lang::Kind::kState, options.state);
  if (!state) return std::unexpected(state.error());
  TextResult<lang::Document> policy = load(lang::Kind::kPolicy, options.policy);
  if (!policy) return std::unexpected(policy.error());
  auto expected = verify::Expected::from(*state, &*policy);
  if (!expected) return std::unexpected(TextError(expected.error()));
  return std::move(*expected);
}

int verify_network(const Context& context, const VerifyOptions& options) {
  const auto expected = expected_of(context, options);
  if (!expected) {
    (void)report(context, "the state or the policy", expected.error());
    return kCannotTell;
  }
  const auto only = net_of(options.tenant, *expected);
  if (!only) return error(context.output, only.error().message());
  const auto network = verify::read_network();
  if (!network) return error(context.output, network.error().message() + " (this needs CAP_NET_ADMIN)");
  const verify::Report found = verify::verify(*network, *expected, *only);
  if (context.output.json) print_json(found);
  else print_text(context.output, found);
  return exit_code(found.answer());
}

}  // namespace

void add_net_commands(CLI::App& app, Context& context) {
  CLI::App* net = app.add_subcommand("net", "the network of this host");
  net->require_subcommand(1);
  CLI::App* verify = net->add_subcommand("verify", "read the network back from the kernel, compare it with the state, and tell whether any packet can cross from a tenant to another or to the host");
  verify->footer("Needs CAP_NET_ADMIN (root). Exit codes: 0 sound; 1 a finding; 2 cannot tell, or could not be tried.\n"
                 "Example:\n  mvm net verify\n  mvm net verify --tenant acme --json\n  mvm net verify --state before.state");
  auto options = std::make_shared<VerifyOptions>();
  options->policy = "/etc/mvm/node.policy";
  verify->add_option("--state", options->state, "a state file; default: what hostd holds");
  verify->add_option("--policy", options->policy, "the node's policy, for the cluster's subnet")->capture_default_str();
  verify->add_option("--tenant", options->tenant, "only what concerns this tenant");
  verify->callback([&context, options] { context.exit_code = verify_network(context, *options); });
}

}  // namespace mvm::cli
