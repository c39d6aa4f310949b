// What the supervisor believes of a worker, and for how long it waits.
#include "broker/supervisor/workers.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <thread>

#include "tests/base/socket_pair.h"
#include "tests/supervisor/scene.h"

namespace mvm::supervisor {
namespace {

using lang::Worker;
using lang::Word;

struct Pair {
  Pair() { test::socket_pair(SOCK_SEQPACKET, ours, theirs); }
  void say(const wire::Answer& answer) { say(wire::encode(answer)); }
  void say(const std::vector<std::uint8_t>& bytes) {
    EXPECT_EQ(send(theirs.get(), bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
  }
  Fd ours, theirs;
};

class SomeWorkers : public testing::Test {
 protected:
  Pair net, storage, snapshot, jail, guest;
  Workers workers = Workers::make({std::move(net.ours), std::move(storage.ours), std::move(snapshot.ours), std::move(jail.ours), std::move(guest.ours)}).value();
};

wire::Answer answer_of(std::uint64_t seq, std::vector<wire::Item> items = {}) {
  wire::Answer answer;
  answer.seq = seq;
  answer.ok = true;
  answer.items = std::move(items);
  return answer;
}

wire::Answer event_of(std::uint32_t id) {
  wire::Answer event;
  event.ok = true;
  event.ended = instance_subject(*Name::from("acme"), *Name::from("workers"), InstanceId{id});
  return event;
}

TEST_F(SomeWorkers, AreGivenANumberForEachTask) {
  EXPECT_EQ(workers.send(Worker::kNet, {}).value(), 1u);
  EXPECT_EQ(workers.send(Worker::kJail, {}).value(), 2u);
  EXPECT_EQ(workers.send(Worker::kStorage, {}).value(), 3u);
  EXPECT_EQ(workers.send(Worker::kSnapshot, {}).value(), 4u);
  EXPECT_EQ(workers.send(Worker::kGuest, {}).value(), 5u);
  EXPECT_EQ(workers.send(Worker::kNone, {}).error().code, Errc::kUnsupported);
}

TEST(Executors, AreThereForEachPrimitive) {
  for (const lang::Row& row : lang::table()) {
    if (row.worker != Worker::kNone) {
      EXPECT_TRUE(has_executor(row.worker)) << row.name;
    }
  }
}

// More than the channel holds: none is lost, none comes twice, and hostd does not wait.
TEST_F(SomeWorkers, AreGivenTheRestWhenTheyHaveReadSomeOfIt) {
  constexpr std::uint64_t kTasks = 1000;
  for (std::uint64_t i = 0; i < kTasks; ++i) ASSERT_TRUE(workers.send(Worker::kNet, {}));
  std::uint64_t read = 0;
  std::vector<std::uint8_t> packet(wire::kMaxPacket);
  const auto read_all = [&] {
    for (ssize_t size = 0; (size = recv(net.theirs.get(), packet.data(), packet.size(), MSG_DONTWAIT)) > 0;)
      EXPECT_EQ(wire::decode_task(std::span(packet).first(static_cast<std::size_t>(size)))->seq, ++read);
  };
  read_all();
  EXPECT_LT(read, kTasks) << "the channel holds them all: this test is of nothing";
  for (std::uint64_t answered = 0; answered < read && read < kTasks; read_all()) {
    net.say(answer_of(++answered));
    ASSERT_TRUE(*workers.receive(Worker::kNet));
  }
  EXPECT_EQ(read, kTasks);
  EXPECT_EQ(workers.send(Worker::kNet, {}).value(), kTasks + 1);
  read_all();
  EXPECT_EQ(read, kTasks + 1);
}

TEST_F(SomeWorkers, ReadWhatIsTheirsAndNothingElse) {
  const Subject one = event_of(1).ended;
  const wire::Reading cgroup{.instance = one, .cpu = 1, .memory = 2}, tap{.net = 3, .slot = 5, .frames = wire::Frames{1, 2}},
      said{.instance = one, .guest = wire::GuestSays::kIdle, .since = 1}, of_two{.instance = one, .cpu = 1, .guest = wire::GuestSays::kIdle},
      frames{.instance = one, .frames = wire::Frames{1, 2}}, cpu_of_tap{.net = 3, .slot = 5, .cpu = 1}, nothing{.instance = one}, no_one{.net = 3, .slot = 5};
  const auto may = [&](Worker worker, Pair& pair, const wire::Reading& reading) {
    wire::Answer answer = answer_of(7);
    answer.readings = {reading};
    pair.say(answer);
    return workers.receive(worker).has_value();
  };
  for (const auto& [reading, by_jail, by_net, by_guest] :
       {std::tuple{cgroup, true, false, false}, {tap, false, true, false}, {said, false, false, true}, {of_two, false, false, false}, {frames, false, false, false},
        {cpu_of_tap, false, false, false}, {nothing, true, false, true}, {no_one, false, true, false}}) {
    EXPECT_EQ(may(Worker::kJail, jail, reading), by_jail);
    EXPECT_EQ(may(Worker::kNet, net, reading), by_net);
    EXPECT_EQ(may(Worker::kGuest, guest, reading), by_guest);
    EXPECT_FALSE(may(Worker::kStorage, storage, reading));
    EXPECT_FALSE(may(Worker::kSnapshot, snapshot, reading));
  }
}

TEST_F(SomeWorkers, AnswerInTheirTimeAndEventsAreKept) {
  EXPECT_FALSE(workers.receive(Worker::kJail).value());
  jail.say(event_of(1));
  jail.say(answer_of(7));
  EXPECT_EQ(workers.receive(Worker::kJail).value()->seq, 7u);
  EXPECT_EQ(workers.take_ended(), (std::vector{event_of(1).ended}));
  EXPECT_TRUE(workers.take_ended().empty());
}

TEST_F(SomeWorkers, AreNotBelievedInAnothersName) {
  net.say(event_of(1));
  EXPECT_EQ(workers.receive(Worker::kNet).error().code, Errc::kMalformed) << "net knows of no microVM";
  net.say(answer_of(1, {{Word::kJail, event_of(1).ended, 0, 0, true, 0}}));
  EXPECT_EQ(workers.receive(Worker::kNet).error().code, Errc::kMalformed) << "nor of a jail";
  storage.say(event_of(1));
  EXPECT_EQ(workers.receive(Worker::kStorage).error().code, Errc::kMalformed) << "nor does storage";
  jail.say(answer_of(1, {{Word::kTap, {}, 3, 5, true, 0}}));
  EXPECT_EQ(workers.receive(Worker::kJail).error().code, Errc::kMalformed);
  const wire::Item image{.word = Word::kJail, .subject = {}, .alive = true, .image = sha256("an image")};
  jail.say(answer_of(1, {image}));
  const auto jails = workers.receive(Worker::kJail);
  ASSERT_FALSE(jails) << "an image is storage's to tell of";
  EXPECT_EQ(jails.error().code, Errc::kMalformed);
  storage.say(answer_of(1, {image}));
  EXPECT_EQ(workers.receive(Worker::kStorage).value()->items, (std::vector{image}));
}

TEST_F(SomeWorkers, AreGoneWhenTheirChannelIsAndMalformedIsTheSame) {
  jail.say(std::vector<std::uint8_t>(100, 0xff));
  EXPECT_EQ(workers.receive(Worker::kJail).error().code, Errc::kMalformed);
  jail.say(std::vector<std::uint8_t>(wire::kMaxPacket + 1, 0));
  EXPECT_EQ(workers.receive(Worker::kJail).error().code, Errc::kLimit);
  net.theirs.reset();
  EXPECT_EQ(workers.receive(Worker::kNet).error().code, Errc::kClosed);
  EXPECT_FALSE(workers.send(Worker::kNet, {}));
}

TEST_F(SomeWorkers, GiveTheWholeOfAnAnswerInParts) {
  std::thread worker([&] {
    std::vector<std::uint8_t> bytes(wire::kMaxPacket);
    EXPECT_GT(recv(net.theirs.get(), bytes.data(), bytes.size(), 0), 0);
    wire::Answer first = answer_of(1, {{Word::kTap, {}, 3, 5, true, 0}});
    first.more = true;
    net.say(first);
    net.say(answer_of(1, {{Word::kTap, {}, 3, 6, true, 0}}));
  });
  const auto answer = workers.call(Worker::kNet, {});
  worker.join();
  ASSERT_TRUE(answer) << answer.error().message();
  ASSERT_EQ(answer->items.size(), 2u);
  EXPECT_EQ(answer->items[0].slot, 5u);
  EXPECT_EQ(answer->items[1].slot, 6u);
}

TEST_F(SomeWorkers, AreNotHeardOutForEver) {
  std::thread worker([&] {
    wire::Answer answer = answer_of(1, std::vector<wire::Item>(wire::kMaxItems, {Word::kTap, {}, 3, 5, true, 0}));
    answer.more = true;
    for (std::size_t sent = 0; sent <= kMaxInventory; sent += wire::kMaxItems) net.say(answer);
  });
  const auto answer = workers.call(Worker::kNet, {});
  worker.join();
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Errc::kLimit);
}

TEST_F(SomeWorkers, MayNotAnswerAnotherTaskThanTheOne) {
  net.say(answer_of(9));
  EXPECT_EQ(workers.call(Worker::kNet, {}).error().code, Errc::kMalformed);
}

}  // namespace
}  // namespace mvm::supervisor
