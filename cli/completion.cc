// Shell completion, from the commands themselves: what a shell offers cannot differ from what there is.
#include <iostream>
#include <map>
#include <memory>

#include "cli/commands.h"

namespace mvm::cli {
namespace {

// "plan make" -> the words that may follow: subcommands and options.
void collect(const CLI::App& app, const std::string& path, std::map<std::string, std::string>& words) {
  std::string& offered = words[path];
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; })) {
    offered += sub->get_name() + ' ';
    collect(*sub, path.empty() ? sub->get_name() : path + ' ' + sub->get_name(), words);
  }
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) offered += "--" + name + ' ';
  }
}

std::string bash_script(const CLI::App& app) {
  std::map<std::string, std::string> words;
  collect(app, "", words);
  std::string script =
      "_mvm() {\n"
      "  local path='' word i current=${COMP_WORDS[COMP_CWORD]}\n"
      "  declare -A offer=(\n";
  for (const auto& [path, offered] : words) script += "    ['" + (path.empty() ? "." : path) + "']='" + offered + "'\n";
  script +=
      "  )\n"
      "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
      "    word=${COMP_WORDS[i]}\n"
      "    if [[ $word != -* && -n ${offer[${path:+$path }$word]+set} ]]; then path=${path:+$path }$word; fi\n"
      "  done\n"
      "  COMPREPLY=($(compgen -W \"${offer[${path:-.}]}\" -- \"$current\"))\n"
      "}\n"
      "complete -o default -F _mvm mvm\n";
  return script;
}

}  // namespace

void add_completion_command(CLI::App& app) {
  CLI::App* completion = app.add_subcommand("completion", "print a completion script (bash; zsh reads it after bashcompinit)");
  completion->footer("Example:\n  mvm completion > /etc/bash_completion.d/mvm");
  completion->callback([&app] { std::cout << bash_script(app); });
}

}  // namespace mvm::cli
