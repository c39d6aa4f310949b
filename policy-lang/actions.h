// The actions of a node, each as the lines of a plan that it is. Examples for the manual; tests/policy-lang/manual_test.cc
// verifies and applies them one after the other.
#pragma once

#include <array>
#include <string_view>

namespace mvm::lang {

struct Action {
  std::string_view name;   // create_instance
  std::string_view says;   // what it does, and on what it stands
  std::string_view lines;  // statements with signs, each with its line feed
};

// In an order in which each can be carried out after the ones before.
[[nodiscard]] const std::array<Action, 7>& actions();

}  // namespace mvm::lang
