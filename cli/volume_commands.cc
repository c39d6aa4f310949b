#include <algorithm>
#include <iostream>
#include <memory>

#include "base/derived.h"
#include "cli/commands.h"
#include "cli/holders.h"
#include "cli/texts.h"
#include "planner/desired.h"
#include "planner/idle.h"
#include "policy-lang/diff.h"
#include "policy-lang/print.h"

namespace mvm::cli {
namespace {

struct Rekey {
  std::string instance, projection, state;
  std::uint64_t version = 0;
  bool restart = false;
};

lang::Statement* find(lang::Document& state, const std::string& instance, lang::Word word) {
  const auto is_it = [&](const lang::Statement& line) { return line.word == word && to_string(line.subject) == instance; };
  const auto found = std::ranges::find_if(state.statements, is_it);
  return found == state.statements.end() ? nullptr : &*found;
}

// The plan from the state to itself with another key. Of a volume that is open: closed before, and opened again after.
int rekey(const Context& context, const Rekey& wanted) {
  auto projection = load(lang::Kind::kProjection, wanted.projection);
  if (!projection) return report(context, wanted.projection, projection.error());
  auto state = wanted.state.empty() ? host_state(context.host) : load(lang::Kind::kState, wanted.state);
  if (!state) return report(context, "the state", state.error());
  lang::Document to = *state;
  to.header.generation = projection->header.generation;
  to.header.has_desired = true;
  to.header.desired = lang::text_digest(*projection);
  lang::Statement* const volume = find(to, wanted.instance, lang::Word::kVolume);
  if (volume == nullptr || lang::volume_view(*volume).key_version == 0) return error(context.output, "there is no volume with a key of " + wanted.instance);
  volume->numbers[lang::field_index(lang::Word::kVolume, "key")] = wanted.version;
  if (lang::Statement* const open = find(to, wanted.instance, lang::Word::kLuksOpen)) {
    if (!wanted.restart) return error(context.output, "the volume is open: stop the instance first, or say --restart");
    open->numbers[lang::field_index(lang::Word::kLuksOpen, "key")] = wanted.version;
  }
  const auto plan = lang::diff(*state, to);
  if (!plan) return refuse(context.output, wanted.instance, plan.error().refusal);
  std::cout << lang::print(*plan);
  return kOk;
}

void print(const Context& context, const std::string& instance, const Held& held) {
  if (context.output.json) {
    Json json{{"instance", instance}, {"holders", Json::array()}, {"more", held.more}, {"unseen", held.unseen}, {"all", held.all}};
    for (const Holder& holder : held.holders) json["holders"].push_back({{"process", holder.process}, {"command", holder.command}, {"how", holder.how}});
    std::cout << json.dump(2) << '\n';
    return;
  }
  for (const Holder& holder : held.holders) std::cout << holder.process << ' ' << holder.command << ": " << holder.how << '\n';
  if (held.more != 0) std::cout << "and " << held.more << " more\n";
  if (held.holders.empty()) std::cout << (held.unseen == 0 && held.all ? "nobody has it open\n" : "nobody that could be seen has it open\n");
  if (held.unseen != 0) std::cout << held.unseen << " processes could not be looked at: root can\n";
  if (!held.all) std::cout << "there was more to look at than is looked at\n";
}

int list_holders(const Context& context, const std::string& text) {
  const auto instance = planner::read_instance(text);
  if (!instance) return error(context.output, "\"" + text + "\" is not TENANT/POOL/INSTANCE");
  const auto device = device_of_name(data_device_name(*instance));
  if (!device) return error(context.output, "no volume of " + text + " is open");
  const auto held = holders_of(*device);
  if (!held) return error(context.output, held.error().message());
  print(context, text, *held);
  return held->holders.empty() ? held->unseen == 0 && held->all ? kOk : kError : kRefused;
}

}  // namespace

void add_volume_commands(CLI::App& app, Context& context) {
  CLI::App* volume = app.add_subcommand("volume", "the volumes of this host");
  volume->require_subcommand(1);
  auto wanted = std::make_shared<Rekey>();
  CLI::App* command = volume->add_subcommand("rekey", "print the plan that gives a volume the tenant's key of another version; both keys are to come with it");
  command->footer("Example:\n  mvm volume rekey acme/db/i-a3f7b2c1 2 --projection node-7.projection > p.plan");
  command->add_option("instance", wanted->instance, "TENANT/POOL/INSTANCE")->required();
  command->add_option("version", wanted->version, "the version of the new key")->required()->check(CLI::Range(1, 65'535));
  command->add_option("--projection", wanted->projection, "the desired state, which the plan is held to")->required();
  command->add_option("--state", wanted->state, "a state instead of the host's own");
  command->add_flag("--restart", wanted->restart, "of an instance that runs: end it, and start it again after");
  command->callback([&context, wanted] { context.exit_code = rekey(context, *wanted); });

  auto instance = std::make_shared<std::string>();
  CLI::App* holders = volume->add_subcommand("holders", "list the processes that have an instance's volume open: the microVM's own, or what keeps it from being closed");
  holders->footer("Root sees all of them. Exit codes: 0 nobody; 1 somebody; 2 it is not open, or not all could be seen.\n"
                  "Example:\n  mvm volume holders acme/db/i-a3f7b2c1");
  holders->add_option("instance", *instance, "TENANT/POOL/INSTANCE")->required();
  holders->callback([&context, instance] { context.exit_code = list_holders(context, *instance); });
}

}  // namespace mvm::cli
