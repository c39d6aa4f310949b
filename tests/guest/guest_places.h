// A guest's places in a directory of a test.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "guest/park.h"

namespace mvm::guest::test {

class GuestPlaces : public ::testing::Test {
 protected:
  GuestPlaces() {
    char name[] = "/tmp/mvm-guest-test-XXXXXX";
    top_ = mkdtemp(name);
    for (const char* directory : {"prepare.d", "resume.d", "work", "memory", "run"}) std::filesystem::create_directory(top_ / directory);
    put("work/cgroup.freeze", "0");
    put("work/cgroup.events", "populated 1\nfrozen 1\n");
    put("memory/drop_caches", "");
    put("memory/compact_memory", "");
    places_ = {top_ / "prepare.d", top_ / "resume.d", top_ / "work", top_ / "memory", top_ / "run", "/dev/urandom"};
  }
  ~GuestPlaces() override { std::filesystem::remove_all(top_); }

  void put(const std::string& name, const std::string& text) const { std::ofstream(top_ / name) << text; }
  [[nodiscard]] std::string get(const std::string& name) const {
    std::stringstream text;
    text << std::ifstream(top_ / name).rdbuf();
    return text.str();
  }
  void put_program(const std::string& name, const std::string& script) const {
    put(name, "#!/bin/sh\n" + script + "\n");
    std::filesystem::permissions(top_ / name, std::filesystem::perms(0755));
  }
  // A program that says in `order` that it ran, and with what word.
  void put_witness(const std::string& name) const { put_program(name, "echo " + name + " $1 >>" + (top_ / "order").string()); }

  std::filesystem::path top_;
  Places places_;
};

}  // namespace mvm::guest::test
