#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <iostream>
#include <memory>
#include <set>

#include "cli/commands.h"
#include "cli/diff_view.h"
#include "cli/events.h"
#include "cli/texts.h"
#include "planner/agent_client.h"
#include "planner/compile.h"
#include "planner/desired.h"
#include "planner/executed.h"
#include "planner/files.h"
#include "policy-lang/diff.h"
#include "policy-lang/parse.h"
#include "policy-lang/print.h"
#include "policy-lang/verify.h"

namespace mvm::cli {
namespace {

constexpr const char* kDefaultPolicy = "/etc/mvm/node.policy";

struct PlanFiles {
  std::string plan, other, projection, signature, state, policy = kDefaultPolicy, agent = wire::kAgentSocket;
  std::uint32_t hold = 600;
  bool on_host = false;
};

TextResult<lang::Document> state_of(const Context& context, const PlanFiles& files) {
  return files.state.empty() ? host_state(context.host) : load(lang::Kind::kState, files.state);
}

int make(const Context& context, const PlanFiles& files) {
  auto projection = load(lang::Kind::kProjection, files.projection);
  if (!projection) return report(context, files.projection, projection.error());
  auto policy = load(lang::Kind::kPolicy, files.policy);
  if (!policy) return report(context, files.policy, policy.error());
  if (auto sound = lang::verify_projection(*projection, *policy); !sound) return refuse(context.output, files.projection, sound.error());
  auto state = state_of(context, files);
  if (!state) return report(context, "the state", state.error());
  const planner::Inputs inputs{*state, *projection, *policy, planner::kExecuted, static_cast<std::uint32_t>(time(nullptr))};
  const planner::Compiled compiled = planner::compile(inputs);
  for (const planner::Note& note : compiled.notes) std::cerr << "note: " << to_string(note.subject) << ": " << note.text << '\n';
  if (context.output.json) {
    Json json{{"plan", lang::print(compiled.plan)}, {"statements", Json::array()}};
    for (const auto& statement : compiled.plan.statements) json["statements"].push_back(to_json(statement));
    std::cout << json.dump(2) << '\n';
  } else {
    std::cout << lang::print(compiled.plan);
  }
  return kOk;
}

int accepted(const Context& context, const lang::Document& plan) {
  if (context.output.json) {
    std::cout << Json{{"accepted", true}, {"statements", plan.statements.size()}, {"plan", to_string(lang::text_digest(plan))}}.dump(2) << '\n';
  } else {
    std::cout << tint(context.output, Tint::kGood, "accepted") << ": " << plan.statements.size() << " statements, plan "
              << to_string(lang::text_digest(plan)) << '\n';
  }
  return kOk;
}

int check_offline(const Context& context, const PlanFiles& files) {
  auto plan = load(lang::Kind::kPlan, files.plan);
  if (!plan) return report(context, files.plan, plan.error());
  auto projection = load(lang::Kind::kProjection, files.projection);
  if (!projection) return report(context, files.projection, projection.error());
  auto policy = load(lang::Kind::kPolicy, files.policy);
  if (!policy) return report(context, files.policy, policy.error());
  auto state = load(lang::Kind::kState, files.state);
  if (!state) return report(context, files.state, state.error());
  if (auto sound = lang::verify_policy(*policy); !sound) return refuse(context.output, files.policy, sound.error());
  if (auto sound = lang::verify_projection(*projection, *policy); !sound) return refuse(context.output, files.projection, sound.error());
  auto verified = lang::verify(*plan, {*state, *projection, *policy});
  if (!verified) return refuse(context.output, files.plan, verified.error());
  return accepted(context, verified->plan());
}

int judge(const Context& context, const PlanFiles& files, const wire::Event& last) {
  if (const auto* refused = std::get_if<wire::Refused>(&last)) {
    if (context.output.json) return kRefused;  // the event has said it
    return refuse(context.output, refused->in_projection ? files.projection : files.plan, refused->refusal);
  }
  if (const auto* finished = std::get_if<wire::Finished>(&last)) return finished->complete() ? kOk : kRefused;
  if (std::holds_alternative<wire::Accepted>(last)) return kOk;
  if (std::holds_alternative<wire::Busy>(last)) return error(context.output, "hostd runs another plan; try again when it is done");
  if (const auto* failed = std::get_if<wire::Failed>(&last)) return error(context.output, failed->error.message());
  return error(context.output, "hostd answered what was not asked");
}

// What an operator's plan is about, agentd leaves as it is for a while: what it has not made yet, agentd does not know, and where there is no agentd, nobody
// would undo it. What is no plan, hostd says.
void hold_what_it_touches(const PlanFiles& files, const std::string& text) {
  const auto plan = lang::parse(lang::Kind::kPlan, text);
  if (!plan || files.hold == 0) return;
  std::set<Subject> instances;
  for (const lang::Statement& statement : plan->statements) {
    if (statement.subject.kind == SubjectKind::kInstance) instances.insert(statement.subject);
  }
  for (const Subject& instance : instances) {
    const auto held = planner::ask_agent(files.agent, wire::HoldInstance{instance, files.hold});
    if (held) continue;
    const int why = held.error().sys_errno;
    if (why != ENOENT && why != ECONNREFUSED) std::cerr << "note: agentd may undo this: " << held.error().message() << '\n';
    return;
  }
}

// By hostd itself: check, or apply.
int ask_host(const Context& context, const PlanFiles& files, wire::Mode mode) {
  auto plan = read_text(files.plan);
  if (!plan) return error(context.output, plan.error().message());
  auto projection = read_text(files.projection);
  if (!projection) return error(context.output, projection.error().message());
  const std::string signature_file = files.signature.empty() ? files.projection + ".sig" : files.signature;
  auto raw = planner::read_file(AT_FDCWD, signature_file, wire::kSignatureBytes);
  if (!raw) return error(context.output, raw.error().message());
  planner::Submission submission{*plan, *projection, {}, {}, mode};
  if (raw->size() != submission.signature.size()) return error(context.output, signature_file + ": not 64 bytes");
  std::ranges::copy(*raw, submission.signature.begin());
  auto client = connect_host(context.host);
  if (!client) return error(context.output, client.error().message());
  if (mode == wire::Mode::kApply) hold_what_it_touches(files, *plan);
  auto last = client->submit(submission, [&](const wire::Event& event) { print_event(context.output, event); });
  if (!last) return error(context.output, last.error().message());
  return judge(context, files, *last);
}

// One file: what the plan (or state) changes on the host. Two: one against the other.
int diff(const Context& context, const PlanFiles& files) {
  auto left = load_any(files.plan);
  if (!left) return report(context, files.plan, left.error());
  Comparison comparison;
  if (!files.other.empty()) {
    auto right = load_any(files.other);
    if (!right) return report(context, files.other, right.error());
    if (left->kind != right->kind) return error(context.output, "the two texts are of different kinds");
    comparison = compare(*left, *right);
  } else {
    auto state = state_of(context, files);
    if (!state) return report(context, "the state", state.error());
    lang::Document after = *left;
    if (left->kind == lang::Kind::kPlan) {
      auto applied = lang::apply(*state, *left);
      if (!applied) return refuse(context.output, files.plan, applied.error());
      after = *applied;
    } else if (left->kind != lang::Kind::kState) {
      return error(context.output, "only a plan or a state can be held against the host");
    }
    comparison = compare(*state, after);
  }
  if (context.output.json) std::cout << to_json(comparison).dump(2) << '\n';
  else std::cout << to_text(context.output, comparison);
  return comparison.same() ? kOk : kRefused;
}

int show(const Context& context, const PlanFiles& files) {
  auto document = load_any(files.plan);
  if (!document) return report(context, files.plan, document.error());
  if (context.output.json) {
    Json json{{"kind", std::string(lang::to_string(document->kind))}, {"node", std::string(document->header.node.view())},
              {"generation", document->header.generation}, {"digest", to_string(lang::text_digest(*document))},
              {"statements", Json::array()}};
    for (const auto& statement : document->statements) json["statements"].push_back(to_json(statement));
    std::cout << json.dump(2) << '\n';
    return kOk;
  }
  std::cout << lang::to_string(document->kind) << " for " << document->header.node.view() << ", generation "
            << document->header.generation << ", " << document->statements.size() << " statements, "
            << to_string(lang::text_digest(*document)) << '\n';
  const Subject* last = nullptr;
  for (const lang::Statement& statement : document->statements) {
    if (last == nullptr || *last != statement.subject) {
      std::cout << tint(context.output, Tint::kDim, statement.subject.kind == SubjectKind::kNone ? "(the node)" : to_string(statement.subject)) << '\n';
    }
    last = &statement.subject;
    const Tint colour = statement.sign == lang::Sign::kAdd ? Tint::kAdd : statement.sign == lang::Sign::kRemove ? Tint::kRemove : Tint::kMove;
    const lang::Row& row = lang::row(statement.word);
    std::cout << "  " << (statement.sign == lang::Sign::kNone ? lang::print(statement) : tint(context.output, colour, lang::print(statement))) << '\n';
    if (statement.sign == lang::Sign::kAdd || statement.sign == lang::Sign::kRemove) {
      std::cout << "      " << tint(context.output, Tint::kDim, statement.sign == lang::Sign::kAdd ? row.makes : row.unmakes) << '\n';
    }
  }
  return kOk;
}

}  // namespace

void add_plan_commands(CLI::App& app, Context& context) {
  CLI::App* plan = app.add_subcommand("plan", "make, check, read, compare and apply plans");
  plan->require_subcommand(1);
  auto files = std::make_shared<PlanFiles>();
  const auto add = [&](const char* name, const char* help, const char* example) {
    CLI::App* command = plan->add_subcommand(name, help);
    command->footer(std::string("Example:\n  ") + example);
    return command;
  };
  const auto with_projection = [&](CLI::App* command) { command->add_option("--projection", files->projection, "the desired state")->required(); };
  const auto with_policy = [&](CLI::App* command) { command->add_option("--policy", files->policy, "the node policy")->capture_default_str(); };
  const auto with_state = [&](CLI::App* command) { return command->add_option("--state", files->state, "a state instead of the host's own"); };
  const auto with_plan = [&](CLI::App* command) { command->add_option("plan", files->plan, "the plan; - is standard input")->required(); };

  CLI::App* make_command = add("make", "compile desired state into a plan", "mvm plan make --projection node-7.projection > p.plan");
  with_projection(make_command);
  with_policy(make_command);
  with_state(make_command);
  make_command->callback([&context, files] { context.exit_code = make(context, *files); });

  CLI::App* check = add("check", "verify a plan (V1 to V6) and run nothing: by hostd, or here with --state",
                        "mvm plan check p.plan --projection node-7.projection");
  with_plan(check);
  with_projection(check);
  with_policy(check);
  with_state(check);
  check->add_option("--signature", files->signature, "of the projection; default: its name and .sig");
  check->callback([&context, files] {
    context.exit_code = files->state.empty() ? ask_host(context, *files, wire::Mode::kCheck) : check_offline(context, *files);
  });

  CLI::App* fmt = add("fmt", "print a text of any kind in its one canonical form", "mvm plan fmt edited.plan > p.plan");
  fmt->add_option("text", files->plan, "the text; - is standard input")->required();
  fmt->callback([&context, files] {
    auto text = read_text(files->plan);
    if (!text) {
      context.exit_code = error(context.output, text.error().message());
      return;
    }
    auto formatted = format(*text);
    if (formatted) std::cout << *formatted;
    else context.exit_code = report(context, files->plan, formatted.error());
  });

  CLI::App* show_command = add("show", "a text by subject, with what each statement does", "mvm plan show p.plan");
  show_command->add_option("text", files->plan, "a text of any kind; - is standard input")->required();
  show_command->callback([&context, files] { context.exit_code = show(context, *files); });

  CLI::App* diff_command = add("diff", "two texts of one kind, or what a plan changes on the host; exit 0 same, 1 different, 2 error",
                               "mvm plan diff p.plan\n  mvm plan diff yesterday.plan today.plan");
  with_plan(diff_command);
  diff_command->add_option("other", files->other, "the other text");
  with_state(diff_command);
  diff_command->callback([&context, files] { context.exit_code = diff(context, *files); });

  CLI::App* apply_command = add("apply", "have hostd verify and run a plan", "mvm plan apply p.plan --projection node-7.projection");
  with_plan(apply_command);
  with_projection(apply_command);
  apply_command->add_option("--signature", files->signature, "of the projection; default: its name and .sig");
  apply_command->add_option("--hold", files->hold, "seconds for which agentd leaves the instances that it is about as they are; 0: it does not")->capture_default_str()->check(CLI::Range(0U, wire::kMaxHold));
  apply_command->add_option("--agent", files->agent, "agentd's socket")->capture_default_str();
  apply_command->callback([&context, files] { context.exit_code = ask_host(context, *files, wire::Mode::kApply); });
}

}  // namespace mvm::cli
