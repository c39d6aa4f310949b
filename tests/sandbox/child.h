// Runs a piece of a test in a process of its own, so that it may give up what the test still needs, or die.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <string>

#include <gtest/gtest.h>

namespace mvm::test {

inline constexpr int kWorked = 42;

// The wait status of a child that ran `body` and, if it got to its end, left with kWorked.
template <class Body>
int in_child(Body body) {
  const pid_t child = fork();
  if (child == 0) {
    body();
    _exit(kWorked);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return status;
}

inline ::testing::AssertionResult worked(int status) {
  if (WIFEXITED(status) && WEXITSTATUS(status) == kWorked) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << (WIFSIGNALED(status) ? "signal " + std::to_string(WTERMSIG(status))
                                                               : "exit " + std::to_string(WEXITSTATUS(status)));
}

inline ::testing::AssertionResult died_of_sigsys(int status) {
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << "status " << status;
}

// For the body: leave with `line` as the exit code unless the condition holds.
inline void must(bool condition, int line) {
  if (!condition) _exit(line % 41 == 0 ? 1 : line % 41);
}
#define MUST(condition) ::mvm::test::must((condition), __LINE__)

}  // namespace mvm::test
