// What a guest does to itself, on a kernel that may be done so to: vsock, a cgroup that is frozen, the clock, the random generator.
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <linux/vm_sockets.h>

#include <cstdlib>
#include <thread>

#include "guest/serve.h"
#include "guest/wake.h"
#include "tests/guest/guest_places.h"

namespace mvm::guest {
namespace {

using std::chrono::seconds;

std::uint64_t realtime() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
}

class GuestOnANode : public test::GuestPlaces {
 protected:
  void SetUp() override { ASSERT_EQ(std::system("modprobe vsock_loopback"), 0); }
};

TEST_F(GuestOnANode, ReseedsStepsItsClockAndSaysThatItIsAnother) {
  const std::uint64_t before = realtime();
  const Resume resume{before + 90'000'000'000, {0xab, 0xcd, 0, 1}, {1, 2, 3}};
  EXPECT_EQ(wake(places_, resume), Outcome::kDone);
  const std::uint64_t after = realtime();
  EXPECT_EQ(wake(places_, {before + (after - resume.realtime), {1}, {1}}), Outcome::kDone) << "the clock goes back to where it was";
  EXPECT_GE(after, resume.realtime);
  EXPECT_LT(after, resume.realtime + 60'000'000'000);
  EXPECT_EQ(get("run/generation"), "01000000000000000000000000000000\n");
}

TEST_F(GuestOnANode, DoesNotSayThatItIsAnotherWhereItsClockStands) {
  EXPECT_EQ(wake(places_, {static_cast<std::uint64_t>(INT64_MAX), {1}, {1}}), Outcome::kClockStands) << "later than the kernel's clock goes";
  EXPECT_FALSE(std::filesystem::exists(top_ / "run/generation"));
}

TEST_F(GuestOnANode, FreezesItsWorkAndThawsIt) {
  places_.work = "/sys/fs/cgroup/mvm-work";
  std::filesystem::create_directory(places_.work);
  auto* count = static_cast<std::atomic<std::uint64_t>*>(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  ASSERT_NE(static_cast<void*>(count), MAP_FAILED);
  const pid_t child = fork();
  if (child == 0) {
    std::ofstream(places_.work + "/cgroup.procs") << getpid() << std::flush;
    for (;;) ++*count;
  }
  const auto moves = [&] {
    const std::uint64_t before = *count;
    usleep(300'000);
    return *count != before;
  };
  while (!moves()) {
  }
  EXPECT_EQ(park(places_, seconds(20)), Outcome::kDone);
  EXPECT_FALSE(moves());
  EXPECT_TRUE(thaw(places_));
  EXPECT_TRUE(moves());
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  while (rmdir(places_.work.c_str()) != 0 && errno == EBUSY) usleep(10'000);
  munmap(count, 4096);
}

class Idle final : public Machine {
 public:
  Outcome park(std::chrono::milliseconds) override { return Outcome::kDone; }
  Outcome wake(const Resume&) override { return Outcome::kDone; }
  void go() override {}
  Heartbeat work() override { return {State::kIdle, 12}; }
};

Fd connect_to(std::uint32_t port) {
  Fd host(socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval patience{20, 0};
  setsockopt(host.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  sockaddr_vm address{};
  address.svm_family = AF_VSOCK;
  address.svm_cid = VMADDR_CID_LOCAL;
  address.svm_port = port;
  EXPECT_EQ(connect(host.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0) << strerror(errno);
  return host;
}

// What a daemon whose host is `cid` says first to one that connects from this machine itself; 0 bytes where it closes.
ssize_t first_words(std::uint32_t cid, Packet& packet, const std::filesystem::path& run) {
  const auto listener = listen_on_vsock();
  EXPECT_TRUE(listener) << listener.error().message();
  const auto work = watch_work(run);
  Idle idle;
  Session session(idle);
  Server server(listener->get(), work->get(), session, cid);
  const Fd host = connect_to(kPort);
  EXPECT_TRUE(server.step());
  return recv(host.get(), packet.data(), packet.size(), MSG_WAITALL);
}

TEST_F(GuestOnANode, SpeaksToItsHostByVsock) {
  Packet packet{};
  ASSERT_EQ(first_words(VMADDR_CID_LOCAL, packet, top_ / "run"), static_cast<ssize_t>(kMessage));
  EXPECT_EQ(decode_from_guest(packet).value(), (FromGuest{0, Heartbeat{State::kIdle, 12}}));
}

TEST_F(GuestOnANode, SpeaksToNobodyElse) {
  Packet packet{};
  EXPECT_LE(first_words(VMADDR_CID_HOST, packet, top_ / "run"), 0);
}

// As it is in an image: static, without an argument.
TEST_F(GuestOnANode, IsServedByTheDaemonItself) {
  const pid_t daemon = fork();
  if (daemon == 0) {
    execl("/opt/mvm-stage/tests/mvm-guestd", "mvm-guestd", nullptr);
    _exit(127);
  }
  Packet packet{};
  ssize_t size = -1;
  for (int i = 0; i < 100 && access("/run/mvm", F_OK) != 0; ++i) usleep(50'000);
  usleep(300'000);
  {
    const Fd host = connect_to(kPort);
    size = recv(host.get(), packet.data(), packet.size(), MSG_WAITALL);
  }
  EXPECT_LE(size, 0) << "we are not its host";
  EXPECT_EQ(waitpid(daemon, nullptr, WNOHANG), 0) << "and it is still there";
  kill(daemon, SIGKILL);
  waitpid(daemon, nullptr, 0);
  rmdir("/run/mvm");
}

}  // namespace
}  // namespace mvm::guest
