// Reads seccomp/<process>.policy and compiles it with libseccomp. For the build (compile_grants) and for tests, which
// compile a policy without one of its lines; no process of mvm links this. May throw std::runtime_error: "file:line: why".
// The form of a policy is in seccomp/README.md. Proven by: tests/sandbox/compile_test.cc.
#pragma once

#include <linux/filter.h>

#include <string>
#include <vector>

#include "broker/sandbox/grants.h"

namespace mvm::seccomp {

// One grant. `what`: user, limit, cap, path, allow, errno, over-exec, files.
struct Line {
  std::string where;  // file:line, for messages
  std::string what;
  std::vector<std::string> args;
  std::string reason;  // never empty
  [[nodiscard]] std::string text() const;  // what and args
};

[[nodiscard]] std::vector<Line> read_policy(const std::string& path);

// Grants and all that they point to.
class Compiled {
 public:
  Compiled(std::string process, const std::vector<Line>& lines);
  // Valid as long as this object lives.
  [[nodiscard]] sandbox::Grants grants() const;

 private:
  void add(const Line& line);

  struct Path {
    std::string path;
    std::uint64_t access;
  };
  std::string process_;
  std::string user_;
  sandbox::CapSet capabilities_ = 0;
  sandbox::OverExec over_exec_ = sandbox::OverExec::kNothing;
  sandbox::Files files_ = sandbox::Files::kLandlock;
  std::vector<Path> paths_;
  std::vector<sandbox::PathGrant> path_grants_;
  std::vector<sandbox::LimitGrant> limits_;
  std::vector<sock_filter> filter_;
};

}  // namespace mvm::seccomp
