// compile_grants PROCESS POLICY HEADER: writes the grants of one process as a header of constants. A tool of the build.
#include <cstdio>
#include <exception>
#include <fstream>
#include <iostream>
#include <sstream>

#include "seccomp/policy_file.h"

namespace {

using mvm::sandbox::Grants;

std::string constant_name(std::string process) {
  process[0] = static_cast<char>(process[0] - 'a' + 'A');
  return "k" + process;
}

std::string quoted(std::string_view text) { return "\"" + std::string(text) + "\""; }

void write_arrays(std::ostream& out, const Grants& grants) {
  out << "inline constexpr std::array<sandbox::PathGrant, " << grants.paths.size() << "> kPaths = {{\n";
  for (const auto& path : grants.paths) out << "    {" << quoted(path.path) << ", " << path.access << "},\n";
  out << "}};\ninline constexpr std::array<sandbox::LimitGrant, " << grants.limits.size() << "> kLimits = {{\n";
  for (const auto& limit : grants.limits) out << "    {" << limit.resource << ", " << limit.value << "},\n";
  out << "}};\ninline constexpr std::array<sock_filter, " << grants.filter.size() << "> kFilter = {{\n";
  for (const auto& step : grants.filter) {
    out << "    {" << step.code << ", " << +step.jt << ", " << +step.jf << ", " << step.k << "U},\n";
  }
  out << "}};\n";
}

void write_header(std::ostream& out, const Grants& grants, const std::vector<mvm::seccomp::Line>& lines) {
  const std::string process(grants.process);
  out << "// Made from seccomp/" << process << ".policy when building. What is granted, and why:\n";
  for (const auto& line : lines) out << "//   " << line.text() << " : " << line.reason << "\n";
  out << "#pragma once\n\n#include <array>\n\n#include \"broker/sandbox/grants.h\"\n\nnamespace mvm::grants {\nnamespace "
      << process << " {\n";
  write_arrays(out, grants);
  out << "}  // namespace " << process << "\n\ninline constexpr sandbox::Grants " << constant_name(process) << "{\n"
      << "    .process = " << quoted(process) << ",\n    .user = " << quoted(grants.user) << ",\n    .capabilities = "
      << grants.capabilities << "U,\n    .over_exec = static_cast<sandbox::OverExec>(" << static_cast<int>(grants.over_exec)
      << "),\n    .files = static_cast<sandbox::Files>(" << static_cast<int>(grants.files) << "),\n    .paths = " << process
      << "::kPaths,\n    .limits = " << process << "::kLimits,\n    .filter = " << process << "::kFilter,\n};\n\n}  // namespace mvm::grants\n";
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: compile_grants PROCESS POLICY HEADER\n");
    return 2;
  }
  try {
    const auto lines = mvm::seccomp::read_policy(argv[2]);
    const mvm::seccomp::Compiled compiled(argv[1], lines);
    std::ostringstream text;
    write_header(text, compiled.grants(), lines);
    std::ofstream(argv[3]) << text.str();
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "compile_grants: %s\n", error.what());
    return 1;
  }
}
