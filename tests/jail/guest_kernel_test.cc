#include "broker/guest/link.h"
#include "broker/guest/talk.h"
#include "tests/jail/sleep_fixture.h"

namespace mvm::jail {
namespace {

// The guest's daemon, by way of the microVM's vsock and the link to the guest worker, whose part the test plays with that worker's own code.
class Guest : public RunningFixture {
 protected:
  Result<Fd> meet() {
    const auto met = to_jail(telling(lang::kAwake, lang::kParked));
    if (!met.ok) return forward(met.error);
    auto connected = guest_worker::receive_connected(guests_.get());
    if (!connected) return forward(connected.error());
    EXPECT_EQ(connected->instance, instance_);
    return std::move(connected->connection);
  }
  wire::Task telling(std::uint64_t from, std::uint64_t to) const {
    wire::Task made = task(wire::Op::kConnect, lang::Word::kGuest);
    made.statement.numbers = {from, to};
    return made;
  }
  Status tell(guest_worker::Goal goal) {
    auto connection = meet();
    if (!connection) return forward(connection.error());
    guest_worker::Talk talk(*std::move(connection), goal, guest_worker::make_resume().value(), guest_worker::Clock::now());
    if (auto begun = talk.begin(); !begun) return begun;
    for (int i = 0; i < 1000; ++i) {
      pollfd ready{talk.fd(), POLLIN, 0};
      if (poll(&ready, 1, 10'000) != 1) return fail(Errc::kTimeout, "hear the guest");
      if (auto ended = talk.read_some()) return *ended;
    }
    return fail(Errc::kLimit, "hear the guest");
  }
};

TEST_F(Guest, SaysHowItIsAndItsCgroupIsRead) {
  EXPECT_TRUE(tell(guest_worker::Goal::kAsk));
  EXPECT_EQ(ask_guest("daemon"), "parks 0 wakes 0 goes 0 state ready");
  wire::Task read = task(wire::Op::kRead, lang::Word::kGuest);
  read.statement = {};
  const auto answer = to_jail(read);
  ASSERT_TRUE(answer.ok) << answer.error.message();
  ASSERT_EQ(answer.readings.size(), 1u);
  EXPECT_EQ(answer.readings[0].instance, instance_);
  EXPECT_GT(answer.readings[0].cpu, 0u);
  const bool has_memory = content_of(cgroup_ + "/cgroup.controllers").find("memory") != std::string::npos;
  EXPECT_EQ(answer.readings[0].memory.has_value(), has_memory);
  EXPECT_NE(answer.readings[0].memory, 0u);
}

TEST_F(Guest, ParksGoesThroughItsSleepAndGoesOn) {
  ASSERT_TRUE(tell(guest_worker::Goal::kPark));
  EXPECT_EQ(ask_guest("daemon"), "parks 1 wakes 0 goes 0 state parked");
  const auto asleep = falls_asleep(1);
  ASSERT_TRUE(asleep) << asleep.error().message();
  const auto awake = wakes(1);
  ASSERT_TRUE(awake) << awake.error().message();
  EXPECT_EQ(ask_guest("daemon"), "parks 1 wakes 0 goes 0 state parked") << "until it is told";
  ASSERT_TRUE(tell(guest_worker::Goal::kGoOn));
  EXPECT_EQ(ask_guest("daemon"), "parks 1 wakes 1 goes 1 state ready");
}

TEST_F(Guest, IsNotMetWhereThereIsNone) {
  ASSERT_TRUE(to_jail(jail_task(wire::Op::kUnmake)).ok);
  EXPECT_EQ(meet().error().code, Errc::kNotFound);
}

// The VMM is another than its jail's: whoever put a socket there.
TEST_F(Guest, IsNotMetWhereAnotherListens) {
  const std::string path = root_path() + "/run/v.sock";
  fs::remove(path);
  const Fd other(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const Fd directory(open((root_path() + "/run").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  std::strcpy(address.sun_path, ("/proc/self/fd/" + std::to_string(directory.get()) + "/v.sock").c_str());
  ASSERT_EQ(bind(other.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(listen(other.get(), 1), 0);
  EXPECT_EQ(meet().error().code, Errc::kDenied);
  fs::remove(path);
  fs::create_symlink("/run/elsewhere", path);
  EXPECT_EQ(meet().error().code, Errc::kDenied) << "a link";
}

}  // namespace
}  // namespace mvm::jail
