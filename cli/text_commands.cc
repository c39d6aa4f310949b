#include <iostream>
#include <memory>

#include "cli/commands.h"
#include "cli/grammar_text.h"
#include "cli/texts.h"
#include "policy-lang/manual.h"

namespace mvm::cli {
namespace {

void add_fmt(CLI::App& app, Context& context, const char* name, const char* help, const char* example) {
  CLI::App* group = app.add_subcommand(name, help);
  group->require_subcommand(1);
  CLI::App* fmt = group->add_subcommand("fmt", "print it in its one canonical form: comments gone, lines sorted, digest renewed");
  fmt->footer(std::string("Example:\n  ") + example);
  auto path = std::make_shared<std::string>();
  fmt->add_option("text", *path, "the text; - is standard input")->required();
  fmt->callback([&context, path] {
    auto text = read_text(*path);
    if (!text) {
      context.exit_code = error(context.output, text.error().message());
      return;
    }
    auto formatted = format(*text);
    if (formatted) std::cout << *formatted;
    else context.exit_code = report(context, *path, formatted.error());
  });
}

}  // namespace

void add_text_commands(CLI::App& app, Context& context) {
  add_fmt(app, context, "policy", "the node's policy", "mvm policy fmt /etc/mvm/node.policy");
  add_fmt(app, context, "projection", "desired state, as the coordinator signs it", "mvm projection fmt draft > node-7.projection");

  CLI::App* grammar = app.add_subcommand("grammar", "print the grammar of the language (ABNF, RFC 5234)");
  grammar->footer("Example:\n  mvm grammar | less");
  grammar->callback([&context] {
    if (context.output.json) std::cout << Json{{"abnf", std::string(kGrammarText)}}.dump(2) << '\n';
    else std::cout << kGrammarText;
  });

  CLI::App* primitives = app.add_subcommand("primitives", "print the table of statements: fields, bounds, what must stand before, who runs it");
  primitives->footer("Example:\n  mvm primitives --json");
  primitives->callback([&context] { std::cout << (context.output.json ? lang::manual_json() : lang::manual_text()); });
}

}  // namespace mvm::cli
