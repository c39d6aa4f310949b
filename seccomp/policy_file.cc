#include "seccomp/policy_file.h"

#include <seccomp.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <memory>
#include <sstream>
#include <stdexcept>

#include "base/fd.h"
#include "base/owned.h"
#include "seccomp/words.h"

namespace mvm::seccomp {
namespace {

using Filter = Owned<void, seccomp_release>;

void check(int result, const std::string& tried) {
  if (result != 0) throw std::runtime_error(tried + ": " + std::to_string(result));
}

std::vector<std::string> words_of(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

// "what args : reason"
Line parse_line(const std::string& text, const std::string& where) {
  const auto colon = text.find(" : ");
  if (colon == std::string::npos || colon + 3 >= text.size()) throw std::runtime_error(where + ": a grant without a reason");
  std::vector<std::string> words = words_of(text.substr(0, colon));
  if (words.empty()) throw std::runtime_error(where + ": a reason without a grant");
  return {where, words.front(), {words.begin() + 1, words.end()}, text.substr(colon + 3)};
}

// "MASK" or "A|B"
std::uint64_t constants(const std::string& text) {
  std::uint64_t value = 0;
  std::istringstream stream(text);
  for (std::string name; std::getline(stream, name, '|');) value |= constant(name);
  return value;
}

// "argN=VALUE" or "argN&MASK=VALUE"
scmp_arg_cmp condition(const std::string& text) {
  const auto equals = text.find('=');
  if (!text.starts_with("arg") || equals == std::string::npos || equals < 4) throw std::runtime_error("condition \"" + text + "\"");
  const unsigned arg = static_cast<unsigned>(text[3] - '0');
  if (arg > 5) throw std::runtime_error("argument of \"" + text + "\"");
  const std::uint64_t value = constants(text.substr(equals + 1));
  if (equals == 4) return {arg, SCMP_CMP_EQ, value, 0};
  if (text[4] != '&') throw std::runtime_error("condition \"" + text + "\"");
  return {arg, SCMP_CMP_MASKED_EQ, constants(text.substr(5, equals - 5)), value};
}

int syscall_number(const std::string& name) {
  const int number = seccomp_syscall_resolve_name(name.c_str());
  if (number < 0) throw std::runtime_error("this machine has no system call \"" + name + "\"");
  return number;
}

// allow NAME [argN=VALUE ...] ; errno ERRNO NAME [argN=VALUE ...]
void add_rule(scmp_filter_ctx filter, const Line& line) {
  std::vector<std::string> args = line.args;
  std::uint32_t action = SCMP_ACT_ALLOW;
  if (line.what == "errno" && !args.empty()) {
    action = SCMP_ACT_ERRNO(static_cast<std::uint32_t>(errno_number(args.front())));
    args.erase(args.begin());
  }
  if (args.empty()) throw std::runtime_error("a system call");
  std::vector<scmp_arg_cmp> conditions;
  std::transform(args.begin() + 1, args.end(), std::back_inserter(conditions), condition);
  check(seccomp_rule_add_exact_array(filter, action, syscall_number(args.front()), static_cast<unsigned>(conditions.size()),
                                     conditions.data()),
        "seccomp_rule_add_exact_array");
}

std::vector<sock_filter> exported(scmp_filter_ctx filter) {
  const Fd file(memfd_create("filter", MFD_CLOEXEC));
  check(seccomp_export_bpf(filter, file.get()), "seccomp_export_bpf");
  const off_t size = lseek(file.get(), 0, SEEK_END);
  std::vector<sock_filter> program(static_cast<std::size_t>(size) / sizeof(sock_filter));
  if (pread(file.get(), program.data(), static_cast<std::size_t>(size), 0) != size) throw std::runtime_error("read the filter");
  return program;
}

bool is_rule(const Line& line) { return line.what == "allow" || line.what == "errno"; }

std::vector<sock_filter> compile_filter(const std::vector<Line>& lines) {
  const Filter filter(seccomp_init(SCMP_ACT_KILL_PROCESS));
  if (!filter) throw std::runtime_error("seccomp_init");
  // Another architecture's calls (x32 and i386 too) have other numbers: whoever makes one dies.
  check(seccomp_attr_set(filter.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS), "ACT_BADARCH");
  check(seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2), "CTL_OPTIMIZE");
  for (const Line& line : lines) {
    if (!is_rule(line)) continue;
    try {
      add_rule(filter.get(), line);
    } catch (const std::exception& error) {
      throw std::runtime_error(line.where + ": " + error.what());
    }
  }
  return exported(filter.get());
}

const std::string& only_arg(const Line& line) {
  if (line.args.size() != 1) throw std::runtime_error("one argument");
  return line.args.front();
}

}  // namespace

std::string Line::text() const {
  std::string text = what;
  for (const std::string& arg : args) text += " " + arg;
  return text;
}

std::vector<Line> read_policy(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error(path + ": cannot be read");
  std::vector<Line> lines;
  std::size_t number = 0;
  for (std::string text; std::getline(file, text);) {
    ++number;
    if (!text.empty() && text.front() != '#') lines.push_back(parse_line(text, path + ":" + std::to_string(number)));
  }
  return lines;
}

Compiled::Compiled(std::string process, const std::vector<Line>& lines) : process_(std::move(process)) {
  for (const Line& line : lines) {
    try {
      add(line);
    } catch (const std::exception& error) {
      throw std::runtime_error(line.where + ": " + error.what());
    }
  }
  if (user_.empty()) throw std::runtime_error(process_ + ": no user");
  for (const Path& each : paths_) path_grants_.push_back({each.path, each.access});
  filter_ = compile_filter(lines);
}

void Compiled::add(const Line& line) {
  if (is_rule(line)) return;
  if (line.what == "user") {
    if (!user_.empty()) throw std::runtime_error("a second user");
    user_ = only_arg(line);
  } else if (line.what == "cap") {
    capabilities_ |= sandbox::cap_bit(capability(only_arg(line)));
  } else if (line.what == "limit" && line.args.size() == 2) {
    limits_.push_back({resource_limit(line.args[0]), constant(line.args[1])});
  } else if (line.what == "path" && line.args.size() == 2) {
    paths_.push_back({line.args[0], access_rights(line.args[1])});
  } else if (line.what == "over-exec" && only_arg(line) == "capabilities") {
    over_exec_ = sandbox::OverExec::kCapabilities;
  } else if (line.what == "files" && only_arg(line) == "inherited-by-jailer") {
    files_ = sandbox::Files::kInheritedByJailer;
  } else {
    throw std::runtime_error("\"" + line.text() + "\" is no grant");
  }
}

sandbox::Grants Compiled::grants() const {
  return {.process = process_,
          .user = user_,
          .capabilities = capabilities_,
          .over_exec = over_exec_,
          .files = files_,
          .paths = path_grants_,
          .limits = limits_,
          .filter = filter_};
}

}  // namespace mvm::seccomp
