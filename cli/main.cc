// mvm: plans made, read, compared and applied, by people. Holds no power of its own: what it sends hostd is verified there.
#include <unistd.h>

#include <iostream>

#include "cli/commands.h"

namespace mvm::cli {

int report(const Context& context, const std::string& what, const TextError& text_error) {
  if (const auto* refusal = std::get_if<lang::Refusal>(&text_error)) return refuse(context.output, what, *refusal);
  return error(context.output, std::get<Error>(text_error).message());
}

namespace {

int run(int argc, char** argv) {
  CLI::App app{"mvm: microVMs for tenants who do not trust each other"};
  app.name("mvm");
  app.footer("Exit codes: 0 done, same, sound; 1 refused, different, a finding; 2 error.\nExample:\n  mvm plan make --projection node-7.projection | mvm plan diff -");
  app.require_subcommand(1);
  app.fallthrough();
  app.set_version_flag("--version", MVM_VERSION);
  Context context;
  context.output.colour = isatty(STDOUT_FILENO) == 1;
  app.add_flag("--json", context.output.json, "answer in JSON");
  app.add_flag("--colour,!--no-colour", context.output.colour, "colours; default: on a terminal");
  app.add_option("--socket", context.host.socket, "hostd's socket")->capture_default_str();
  add_plan_commands(app, context);
  add_host_commands(app, context);
  add_agent_commands(app, context);
  add_text_commands(app, context);
  add_key_commands(app, context);
  add_seal_commands(app, context);
  add_net_commands(app, context);
  add_image_commands(app, context);
  add_volume_commands(app, context);
  add_drive_commands(app, context);
  add_completion_command(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& wrong) {
    return app.exit(wrong) == 0 ? kOk : kError;
  }
  std::cout.flush();
  return std::cout.good() ? context.exit_code : kError;
}

}  // namespace
}  // namespace mvm::cli

int main(int argc, char** argv) { return mvm::cli::run(argc, argv); }
