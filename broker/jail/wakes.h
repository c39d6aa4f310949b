// The wakes of this node, from the snapshot worker's hand-over to the end of each page server: what was handed over and has no jail yet, and the page
// servers that are watched. A page server that dies has its microVM killed (broker/snapshot/waking.h) by whoever calls advance(), which is the
// worker's loop, at once.
// Owns the link to the snapshot worker and one page server's channel and pidfd each. From any thread, but for advance().
// Proven by: tests/jail/sleep_kernel_test.cc.
#pragma once

#include <condition_variable>
#include <list>
#include <map>
#include <mutex>
#include <set>

#include "broker/jail/deadline.h"
#include "broker/snapshot/hand_over.h"
#include "broker/snapshot/waking.h"

namespace mvm::jail {

inline constexpr std::size_t kMaxHandedOver = 64;  // that have no jail yet: as many as there may be tasks

class Wakes {
 public:
  using Clock = snapshot::Waking::Clock;
  struct Ended {
    Subject instance;
    snapshot::Stage stage = snapshot::Stage::kDied;
    std::vector<std::uint32_t> touched;  // of kWhole
  };

  // `link`: -1 where there is no snapshot worker (tests).
  [[nodiscard]] static Result<Wakes> make(Fd link);

  // Readable where take_hand_overs() or advance() has something to do. Poll the link before the tasks that stand on what came by it.
  [[nodiscard]] int link() const { return link_.get(); }
  [[nodiscard]] int fd() const { return epoll_.get(); }
  // kClosed: the snapshot worker has gone.
  [[nodiscard]] Status take_hand_overs();
  // What was handed over for the instance, and for that snapshot; it is had once. kNotFound: nothing was.
  [[nodiscard]] Result<snapshot::HandOver> take(const Subject& instance, const Digest& line);

  // Watched from here on. One of the same instance that was watched before is forgotten.
  [[nodiscard]] Status watch(const Subject& instance, snapshot::Waking waking);
  // Until the instance's page server is at that stage or further, or is over. kWhole is known of it until the instance is dropped. kTimeout, kClosed.
  [[nodiscard]] Status wait_for(const Subject& instance, snapshot::Stage stage, Deadline deadline);
  // What is handed over and who is watched for the instance: no more. Its page server has been killed, or is about to be.
  void drop(const Subject& instance);
  // Looks at all of them. An error: a microVM was to be killed and could not be; the worker may not go on then.
  [[nodiscard]] Result<std::vector<Ended>> advance(Clock::time_point now);
  // When advance() is due without anything being readable.
  [[nodiscard]] Clock::time_point due() const;

 private:
  struct Watched {
    Subject instance;
    snapshot::Waking waking;
  };
  struct State {
    mutable std::mutex guard;
    std::condition_variable moved;
    std::map<Subject, snapshot::HandOver> handed_over;
    std::list<Watched> watched;
    std::set<Subject> whole;  // whose page servers have ended well
    std::list<Fd> ending;  // pidfds of page servers that are nobody's any more
  };
  Wakes(Fd link, Fd epoll) : link_(std::move(link)), epoll_(std::move(epoll)), state_(std::make_unique<State>()) {}
  void let_go(std::list<Watched>::iterator watched);
  void reap();

  Fd link_;
  Fd epoll_;
  std::unique_ptr<State> state_;
};

}  // namespace mvm::jail
