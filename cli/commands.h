// The commands of `mvm`, by room. Each add_* hangs its subcommands on the application; what runs sets `exit_code`.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "cli/host.h"
#include "cli/output.h"

namespace mvm::cli {

struct Context {
  Output output;
  HostOptions host;
  int exit_code = kOk;
};

void add_plan_commands(CLI::App& app, Context& context);
void add_text_commands(CLI::App& app, Context& context);   // policy, projection, state fmt; grammar; primitives
void add_key_commands(CLI::App& app, Context& context);    // keygen, sign, verify
void add_seal_commands(CLI::App& app, Context& context);   // key identity, offer, check, seal
void add_host_commands(CLI::App& app, Context& context);   // state, watch, preflight, audit
void add_agent_commands(CLI::App& app, Context& context);  // wake, hold, sleep; readings
void add_net_commands(CLI::App& app, Context& context);    // net verify
void add_image_commands(CLI::App& app, Context& context);  // image manifest, import, list, verify, collect
void add_volume_commands(CLI::App& app, Context& context); // volume rekey, holders
void add_drive_commands(CLI::App& app, Context& context);  // drive pack
void add_completion_command(CLI::App& app);

// Prints the error of a text and gives its exit code.
int report(const Context& context, const std::string& what, const TextError& error);

}  // namespace mvm::cli
