// The command line of the jailer and of Firecracker, taken as their own parser takes it (firecracker v1.16.1,
// src/utils/src/arg_parser.rs): "--name value", flags, repeats where allowed, all after "--" is passed on.
// For tests only; never installed.
#pragma once

#include <algorithm>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace mvm::doubles {

enum class Takes { kFlag, kValue, kValues };

struct Argument {
  std::string name;
  Takes takes = Takes::kValue;
  bool required = false;
  std::vector<std::string> forbids = {};
  std::string needs = {};
};

struct Arguments {
  std::map<std::string, std::vector<std::string>> given;  // a flag: one empty value
  std::vector<std::string> extra;
  [[nodiscard]] bool has(const std::string& name) const { return given.contains(name); }
  [[nodiscard]] std::string one(const std::string& name, const std::string& otherwise = {}) const {
    const auto found = given.find(name);
    return found == given.end() ? otherwise : found->second.front();
  }
  [[nodiscard]] std::vector<std::string> all(const std::string& name) const {
    const auto found = given.find(name);
    return found == given.end() ? std::vector<std::string>{} : found->second;
  }
};

// Throws std::runtime_error with the words of the original.
inline Arguments parse_arguments(std::vector<Argument> known, std::vector<std::string> words) {
  std::ranges::sort(known, {}, &Argument::name);  // the original keeps them in a BTreeMap, and complains in that order
  Arguments result;
  const auto separator = std::ranges::find(words, "--");
  if (separator != words.end()) {
    result.extra.assign(separator + 1, words.end());
    words.erase(separator, words.end());
  }
  for (const char* alone : {"--help", "--version"}) {
    if (std::ranges::find(words, alone) != words.end()) {
      result.given[alone + 2] = {""};
      return result;
    }
  }
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string name = words[i].starts_with("--") ? words[i].substr(2) : "";
    const auto argument = std::ranges::find(known, name, &Argument::name);
    if (name.empty() || argument == known.end()) {
      throw std::runtime_error("Found argument '" + words[i] + "' which wasn't expected, or isn't valid in this context.");
    }
    auto& values = result.given[name];
    if (!values.empty() && argument->takes != Takes::kValues) {
      throw std::runtime_error("The argument '" + name + "' was provided more than once.");
    }
    if (argument->takes == Takes::kFlag) {
      values.emplace_back();
      continue;
    }
    if (++i == words.size() || words[i].starts_with("--")) {
      throw std::runtime_error("The argument '" + name + "' requires a value, but none was supplied.");
    }
    values.push_back(words[i]);
  }
  for (const Argument& argument : known) {
    if (argument.required && !result.has(argument.name)) {
      throw std::runtime_error("Argument '" + argument.name + "' required, but not found.");
    }
    if (!result.has(argument.name)) continue;
    if (!argument.needs.empty() && !result.has(argument.needs)) {
      throw std::runtime_error("Argument '" + argument.needs + "' required, but not found.");
    }
    for (const std::string& other : argument.forbids) {
      if (result.has(other)) {
        throw std::runtime_error("Argument '" + other + "' cannot be used together with argument '" + argument.name + "'.");
      }
    }
  }
  return result;
}

inline void check_instance_id(const std::string& id) {
  const auto fits = [](char c) { return c == '-' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  if (id.empty() || id.size() > 64) {
    throw std::runtime_error("Invalid instance ID: Invalid len (" + std::to_string(id.size()) + ");  the length must be between 1 and 64");
  }
  const auto bad = std::ranges::find_if_not(id, fits);
  if (bad != id.end()) {
    throw std::runtime_error("Invalid instance ID: Invalid char (" + std::string(1, *bad) + ") at position " +
                             std::to_string(bad - id.begin()));
  }
}

inline constexpr const char* kVersion = "1.16.1-mvm-test-double";

}  // namespace mvm::doubles
