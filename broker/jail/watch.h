// Notices microVMs that end by themselves: a pidfd each, in one epoll set.
// Owns the pidfds. Proven by: tests/jail/jail_kernel_test.cc.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "base/ids.h"

namespace mvm::jail {

class Watch {
 public:
  [[nodiscard]] static Result<Watch> make();

  // From any thread. A second one of the same instance takes the place of the first.
  [[nodiscard]] Status add(const Subject& instance, Fd pidfd);
  // From here on take_ended() does not name it. Not watched is fine.
  void drop(const Subject& instance);

  // Readable when take_ended() has something to say.
  [[nodiscard]] int fd() const { return epoll_.get(); }
  // Those that have ended since; each is named once and then no longer watched.
  [[nodiscard]] std::vector<Subject> take_ended();

 private:
  explicit Watch(Fd epoll) : epoll_(std::move(epoll)), guard_(std::make_unique<std::mutex>()) {}

  struct Watched {
    Subject instance;
    Fd pidfd;
  };
  Fd epoll_;
  std::unique_ptr<std::mutex> guard_;  // of what follows
  std::map<std::uint64_t, Watched> watched_;
  std::uint64_t next_ = 1;
};

}  // namespace mvm::jail
