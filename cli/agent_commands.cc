#include <iostream>
#include <memory>

#include "cli/commands.h"
#include "planner/agent_client.h"
#include "planner/idle.h"

namespace mvm::cli {
namespace {

struct Asked {
  std::string socket = wire::kAgentSocket;
  std::string subject;
  std::uint32_t number = 0;
};

// Its exit code: done, not done, or agentd could not be asked.
int ask(const Context& context, const Asked& asked, const wire::AgentRequest& request) {
  const auto answer = planner::ask_agent(asked.socket, request);
  if (!answer) return error(context.output, answer.error().message());
  const bool wakes = std::holds_alternative<wire::WakePool>(request);
  if (context.output.json) {
    Json json{{"done", answer->done}, {"why", answer->why}};
    if (wakes) json["awake"] = answer->awake, json["woken"] = answer->woken;
    std::cout << json.dump(2) << '\n';
  } else if (!answer->done) {
    std::cout << tint(context.output, Tint::kBad, "not done") << ": " << answer->why << '\n';
  } else if (wakes) {
    std::cout << answer->awake << (answer->awake == 1 ? " is awake, " : " are awake, ") << answer->woken << (answer->woken == 1 ? " was woken\n" : " were woken\n");
  } else {
    std::cout << "done\n";
  }
  return answer->done ? kOk : kRefused;
}

int no_such_name(const Context& context, const Asked& asked, const char* form) { return error(context.output, "\"" + asked.subject + "\" is not " + form); }

int wake(const Context& context, const Asked& asked) {
  const auto pool = planner::read_pool(asked.subject);
  return pool ? ask(context, asked, wire::WakePool{*pool, asked.number}) : no_such_name(context, asked, "TENANT/POOL");
}

int hold(const Context& context, const Asked& asked) {
  const auto instance = planner::read_instance(asked.subject);
  return instance ? ask(context, asked, wire::HoldInstance{*instance, asked.number}) : no_such_name(context, asked, "TENANT/POOL/INSTANCE");
}

int put_to_sleep(const Context& context, const Asked& asked) {
  const auto instance = planner::read_instance(asked.subject);
  return instance ? ask(context, asked, wire::RestInstance{*instance}) : no_such_name(context, asked, "TENANT/POOL/INSTANCE");
}

// What hostd reads of each instance that runs.
int print_readings(const Context& context) {
  auto client = connect_host(context.host);
  if (!client) return error(context.output, client.error().message());
  const auto readings = client->readings();
  if (!readings) return error(context.output, readings.error().message());
  constexpr const char* kWords[] = {"unknown", "starting", "ready", "idle", "busy", "parked"};
  static_assert(std::size(kWords) == wire::kGuestWords);
  Json all = Json::array();
  for (const wire::Reading& reading : *readings) {
    const std::string guest = kWords[static_cast<std::size_t>(reading.guest)];
    if (!context.output.json) {
      const auto number = [](const std::optional<std::uint64_t>& value) { return value ? std::to_string(*value) : std::string("none"); };
      std::cout << to_string(reading.instance) << " cpu=" << number(reading.cpu) << " memory=" << number(reading.memory)
                << " sent=" << number(reading.frames ? std::optional(reading.frames->sent) : std::nullopt)
                << " received=" << number(reading.frames ? std::optional(reading.frames->received) : std::nullopt) << " guest=" << guest << " since=" << reading.since << '\n';
      continue;
    }
    Json json{{"instance", to_string(reading.instance)}, {"guest", guest}, {"since", reading.since}};
    if (reading.cpu) json["cpu_usec"] = *reading.cpu;
    if (reading.memory) json["memory"] = *reading.memory;
    if (reading.frames) json["sent"] = reading.frames->sent, json["received"] = reading.frames->received;
    all.push_back(std::move(json));
  }
  if (context.output.json) std::cout << all.dump(2) << '\n';
  return kOk;
}

}  // namespace

void add_agent_commands(CLI::App& app, Context& context) {
  auto asked = std::make_shared<Asked>();
  const auto add = [&](const char* name, const char* what, const char* example) {
    CLI::App* command = app.add_subcommand(name, what);
    command->footer(std::string("Example:\n  ") + example);
    command->add_option("--agent", asked->socket, "agentd's socket")->capture_default_str();
    return command;
  };
  CLI::App* waker = add("wake", "have so many instances of a pool run, and wait until they do; exit 1 where they cannot", "mvm wake acme/workers 2");
  waker->add_option("pool", asked->subject, "TENANT/POOL")->required();
  waker->add_option("count", asked->number, "how many")->required()->check(CLI::Range(1U, wire::kMaxWakes));
  waker->callback([&context, asked] { context.exit_code = wake(context, *asked); });

  CLI::App* holder = add("hold", "leave an instance as it is for a while, whatever is wanted of its pool", "mvm hold acme/db/i-a3f7b2c1 3600");
  holder->add_option("instance", asked->subject, "TENANT/POOL/INSTANCE")->required();
  auto seconds = std::make_shared<std::uint32_t>(600);
  holder->add_option("seconds", *seconds, "for how long; 0: a hold ends")->capture_default_str()->check(CLI::Range(0U, wire::kMaxHold));
  holder->callback([&context, asked, seconds] {
    asked->number = *seconds;
    context.exit_code = hold(context, *asked);
  });

  CLI::App* sleeper = add("sleep", "put an instance to sleep until it is woken, and wait until it sleeps; exit 1 where it does not", "mvm sleep acme/db/i-a3f7b2c1");
  sleeper->add_option("instance", asked->subject, "TENANT/POOL/INSTANCE")->required();
  sleeper->callback([&context, asked] { context.exit_code = put_to_sleep(context, *asked); });

  CLI::App* readings = app.add_subcommand("readings", "print what is read of each instance that runs: microseconds of CPU, bytes, frames, and what its guest says");
  readings->footer("Example:\n  mvm readings --json");
  readings->callback([&context] { context.exit_code = print_readings(context); });
}

}  // namespace mvm::cli
