// mvm-guestd: the one process of ours in a guest. Started by the image's init as root; without an argument, all its places are the ones in park.h.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "guest/park.h"
#include "guest/serve.h"
#include "guest/wake.h"
#include "guest/work.h"

namespace mvm::guest {
namespace {

class ThisGuest final : public Machine {
 public:
  explicit ThisGuest(int run) : run_(run) {}
  Outcome park(std::chrono::milliseconds timeout) override { return guest::park(places_, timeout); }
  Outcome wake(const Resume& resume) override { return guest::wake(places_, resume); }
  void go() override {
    if (auto gone_on = unpark(places_); !gone_on) std::fprintf(stderr, "mvm-guestd: %s\n", gone_on.error().message().c_str());
  }
  Heartbeat work() override { return state_of_work(run_); }

 private:
  Places places_;
  int run_;
};

int fail_with(const Error& error) {
  std::fprintf(stderr, "mvm-guestd: %s\n", error.message().c_str());
  return 1;
}

int run() {
  const Places places;
  if (mkdir(places.run.c_str(), 0755) != 0 && errno != EEXIST) return fail_with({Errc::kSystem, errno, "make", places.run});
  const Fd directory(open(places.run.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory.valid()) return fail_with({Errc::kSystem, errno, "open", places.run});
  const auto work = watch_work(places.run);
  if (!work) return fail_with(work.error());
  const auto listener = listen_on_vsock();
  if (!listener) return fail_with(listener.error());
  // What was frozen by one of us that died is not parked for anyone now.
  if (auto thawed = thaw(places); !thawed) return fail_with(thawed.error());
  ThisGuest machine(directory.get());
  Session session(machine);
  Server server(listener->get(), work->get(), session, VMADDR_CID_HOST);
  for (;;) {
    if (auto stepped = server.step(); !stepped) return fail_with(stepped.error());
    // What was killed late and has ended since (child.h).
    while (waitpid(-1, nullptr, WNOHANG) > 0) {
    }
  }
}

}  // namespace
}  // namespace mvm::guest

int main(int argc, char** argv) {
  if (argc == 2 && std::strcmp(argv[1], "--version") == 0) {
    std::puts("mvm-guestd " MVM_VERSION);
    return 0;
  }
  if (argc != 1) {
    std::fputs("usage: mvm-guestd [--version]\n", stderr);
    return 2;
  }
  return mvm::guest::run();
}
