// Things that are made side by side: what comes of them together is what comes of them one by one, whatever is in the way.
#include <algorithm>
#include <map>

#include "base/derived.h"
#include "broker/net/making.h"
#include "broker/net/tun.h"
#include "tests/net/net_fixture.h"

namespace mvm::net {
namespace {

using wire::Op;

constexpr std::uint16_t kFirst = 3, kBehind = 8;

std::vector<wire::Task> numbered(std::vector<wire::Task> tasks) {
  for (std::size_t i = 0; i < tasks.size(); ++i) tasks[i].seq = 100 + i;
  return tasks;
}

class Makings : public InANamespace {
 protected:
  void SetUp() override {
    InANamespace::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    shell("echo 1 > /proc/sys/net/ipv4/ip_forward");
    before_ = whole_state();
  }
  static std::vector<wire::Task> bridges() {
    std::vector<wire::Task> tasks;
    for (std::uint16_t net = kFirst; net < kBehind; ++net) tasks.push_back(bridge_task(Op::kMake, net));
    return numbered(tasks);
  }
  static std::vector<wire::Task> rules() {
    std::vector<wire::Task> tasks;
    for (std::uint16_t net = kFirst; net < kBehind; ++net) {
      tasks.push_back(rule_task(Op::kMake, net, net % 2 == 0 ? lang::kEgressNat : lang::kEgressListed));
      tasks.back().statement.numbers[1] = 20'000;
    }
    return numbered(tasks);
  }
  static std::vector<wire::Task> taps() {
    std::vector<wire::Task> tasks;
    for (std::uint16_t net = kFirst; net < kBehind; ++net)
      for (std::uint32_t slot = 3; slot < 6; ++slot) tasks.push_back(tap_task(Op::kMake, net, slot));
    return numbered(tasks);
  }
  static std::vector<wire::Task> all() {
    std::vector<wire::Task> tasks;
    for (const auto& some : {bridges(), rules(), taps()}) tasks.insert(tasks.end(), some.begin(), some.end());
    return numbered(tasks);
  }
  std::vector<wire::Answer> dispatched(const std::vector<wire::Task>& tasks) {
    std::vector<wire::Answer> answers = dispatch_all(kernel(), tasks);
    EXPECT_EQ(tasks.size(), answers.size());
    for (std::size_t i = 0; i < answers.size(); ++i) EXPECT_EQ(tasks[i].seq, answers[i].seq);
    return answers;
  }
  void all_done(const std::vector<wire::Task>& tasks) {
    for (const wire::Answer& answer : dispatched(tasks)) EXPECT_TRUE(answer.ok) << answer.error.message();
  }
  // All but those were done.
  void done_but(const std::vector<wire::Task>& tasks, const std::map<std::size_t, Errc>& refused) {
    const std::vector<wire::Answer> answers = dispatched(tasks);
    for (std::size_t i = 0; i < answers.size(); ++i) {
      const auto expected = refused.find(i);
      if (expected == refused.end()) EXPECT_TRUE(answers[i].ok) << i << " " << answers[i].error.message();
      else EXPECT_EQ(expected->second, answers[i].ok ? Errc{} : answers[i].error.code) << i << " " << answers[i].error.message();
    }
  }
  void unmake_all() {
    for (std::vector<wire::Task> tasks : {taps(), rules(), bridges()}) {
      for (wire::Task& task : tasks) {
        task.op = Op::kUnmake;
        task.statement.sign = lang::Sign::kRemove;
      }
      all_done(tasks);
    }
  }
  // All but index numbers, a tap's own random MAC, and what changes with time.
  std::string made() {
    return shell("{ ip -d -o link show type bridge; ip -d -o link show type tun; } | sort -t: -k2 | sed -E 's/^[0-9]+: //; /^tn/s/link.ether [0-9a-f:]+//; s/[a-z_]*timer +[0-9.]+//g; s/state [A-Z]+//; "
                 "s/NO-CARRIER,//; s/,LOWER_UP//; s/port_id 0x[0-9a-f]+ port_no 0x[0-9a-f]+//; s/designated_port [0-9]+//; s/state [a-z]+//g; s/qdisc [a-z_]+//'; "
                 "bridge fdb show | grep static | sort; ip -br -4 address | awk '{print $1, $3}' | sort; ip rule; ip route show table all type unicast | sort; "
                 "ip route show table all type blackhole | sort; cd /proc/sys/net/ipv4/conf; for of in rp_filter arp_ignore send_redirects; do grep -H . br-tenant-*/$of tn*/$of; done; ") +
           [this] {
             std::string lines = shell("nft -s list ruleset");
             std::erase_if(lines, [](char c) { return c == ' ' || c == '\t'; });
             return lines;
           }();
  }
  bool whole() {
    const auto items = inventory_items();
    return items.size() == all().size() && std::ranges::all_of(items, &wire::Item::alive);
  }
  std::string before_;
};

TEST_F(Makings, AreTheSameTogetherAndOneByOne) {
  for (const wire::Task& task : all()) make(task);
  ASSERT_TRUE(whole());
  const std::string one_by_one = made();
  unmake_all();
  ASSERT_EQ(before_, whole_state());
  all_done(all());
  EXPECT_TRUE(whole());
  EXPECT_EQ(one_by_one, made());
}

TEST_F(Makings, OfATenantAtATimeAreTheSameToo) {
  std::vector<wire::Task> tasks;
  for (std::uint16_t net = kFirst; net < kBehind; ++net)
    for (const wire::Task& task : all())
      if (task.place.net == net) tasks.push_back(task);
  all_done(numbered(tasks));
  EXPECT_TRUE(whole());
}

TEST_F(Makings, CanBeRepeated) {
  all_done(all());
  const std::string once = whole_state();
  all_done(all());
  EXPECT_EQ(once, whole_state());
}

// Asked of the function itself: what dispatch_all then does one by one would hide it.
TEST_F(Makings, AreMarkedWhereAllWentTogether) {
  const auto marked = [&]<class Checked>(const std::vector<wire::Task>& tasks, const Checked*) {
    std::vector<Making<Checked>> makings;
    for (const wire::Task& task : tasks) makings.push_back({*Checked::from(task)});
    make_together(kernel(), std::span(makings));
    return std::ranges::count_if(makings, &Making<Checked>::made);
  };
  const CheckedBridge* of_bridges = nullptr;
  const CheckedRule* of_rules = nullptr;
  const CheckedTap* of_taps = nullptr;
  EXPECT_EQ(0, marked(taps(), of_taps)) << "without their bridges";
  EXPECT_EQ(0, marked(rules(), of_rules)) << "without their bridges";
  EXPECT_EQ(before_, whole_state());
  EXPECT_EQ(5, marked(bridges(), of_bridges));
  EXPECT_EQ(0, marked(bridges(), of_bridges)) << "what is there is for its executor";
  EXPECT_EQ(5, marked(rules(), of_rules));
  EXPECT_EQ(0, marked(rules(), of_rules)) << "what is there is replaced by its executor";
  EXPECT_EQ(15, marked(taps(), of_taps));
  EXPECT_EQ(0, marked(taps(), of_taps));
  EXPECT_TRUE(whole());
}

TEST_F(Makings, ThatOneOfIsRefusedAreAllAnsweredAndTheOthersDone) {
  shell("ip link add br-tenant-5 type veth peer name v5; ip link add br-tenant-6 type bridge");
  done_but(bridges(), {{2, Errc::kExists}, {3, Errc::kExists}});
  done_but(rules(), {{2, Errc::kNotFound}, {3, Errc::kNotFound}});
  shell("ip link add tn3i4 type veth peer name v4; ip tuntap add dev tn4i3 mode tap");
  std::map<std::size_t, Errc> refused = {{1, Errc::kExists}, {3, Errc::kExists}};
  for (std::size_t i = 6; i < 12; ++i) refused[i] = Errc::kNotFound;
  done_but(taps(), refused);
  for (const wire::Item& item : inventory_items()) EXPECT_TRUE(item.alive) << item.net;
  EXPECT_FALSE(shell("nft list ruleset").contains("br-tenant-5"));
}

TEST_F(Makings, ThatAreNotSoundAreAnsweredInTheirPlace) {
  std::vector<wire::Task> tasks = all();
  tasks[1].place.net = 4096;
  tasks[12].place.slot = 1;
  const std::vector<wire::Answer> answers = dispatched(tasks);
  EXPECT_FALSE(answers[1].ok);
  EXPECT_FALSE(answers[12].ok);
  EXPECT_TRUE(answers[0].ok && answers[2].ok && answers[11].ok && answers[16].ok);
}

// One transaction is refused as a whole: a rule that names a limit which is there is refused, its neighbours are not.
TEST_F(Makings, OfRulesAreEachDoneWhereTheTransactionOfAllIsRefused) {
  all_done(bridges());
  shell("nft add limit inet mvm br-tenant-6-packets '{ rate 5/second ; }'");
  const std::string before = shell("nft -s list ruleset");
  std::vector<Making<CheckedRule>> makings;
  for (const wire::Task& task : rules()) makings.push_back({*CheckedRule::from(task)});
  make_together(kernel(), std::span(makings));
  EXPECT_TRUE(std::ranges::none_of(makings, &Making<CheckedRule>::made));
  EXPECT_EQ(before, shell("nft -s list ruleset")) << "a batch that is refused changes nothing";
  const std::vector<wire::Answer> answers = dispatched(rules());
  for (std::size_t i = 0; i < 5; ++i) EXPECT_EQ(i != 3, answers[i].ok) << i;
}

// The last ports of a bridge: some of the taps find room, all are answered, and of the others nothing is left.
TEST_F(Makings, OfMoreTapsThanABridgeTakesLeaveNothingOfTheRefused) {
  all_done({bridge_task(Op::kMake, 3), bridge_task(Op::kMake, 4)});
  shell("for i in $(seq 511); do echo link add va$i type veth peer name vb$i; echo link set va$i master br-tenant-3; "
        "test $i = 511 || echo link set vb$i master br-tenant-3; done | ip -batch -");
  std::vector<wire::Task> tasks;
  for (std::uint32_t slot = 3; slot < 7; ++slot) tasks.push_back(tap_task(Op::kMake, 3, slot));
  for (std::uint32_t slot = 3; slot < 7; ++slot) tasks.push_back(tap_task(Op::kMake, 4, slot));
  tasks = numbered(tasks);
  const std::vector<wire::Answer> answers = dispatched(tasks);
  for (std::size_t i = 0; i < 8; ++i) {
    EXPECT_EQ(i < 2 || i > 3, answers[i].ok) << i << answers[i].error.message();
    EXPECT_EQ(answers[i].ok ? 0 : EXFULL, answers[i].error.sys_errno);
  }
  const std::string left = shell("ip -br link; nft list ruleset");
  for (const char* gone : {"tn3i5", "tn3i6"}) EXPECT_FALSE(left.contains(gone)) << gone;
}

TEST_F(Makings, OfTapsLeaveNothingWhereTheirGuardIsGone) {
  all_done(bridges());
  shell("nft delete table bridge mvm");
  const std::string before = whole_state();
  for (const wire::Answer& answer : dispatched(taps())) EXPECT_EQ(Errc::kNotFound, answer.error.code);
  EXPECT_EQ(before, whole_state());
}

TEST_F(Makings, OfRulesWithEgressAreRefusedOnAHostThatDoesNotForward) {
  all_done(bridges());
  shell("echo 0 > /proc/sys/net/ipv4/ip_forward");
  std::vector<wire::Task> tasks = rules();
  tasks[1] = rule_task(Op::kMake, 4, lang::kEgressNone);
  tasks = numbered(tasks);
  done_but(tasks, {{0, Errc::kUnsupported}, {2, Errc::kUnsupported}, {3, Errc::kUnsupported}, {4, Errc::kUnsupported}});
}

TEST_F(Makings, OfBridgesAreRefusedOnAHostThatChecksTheReversePathLoosely) {
  shell("echo 2 > /proc/sys/net/ipv4/conf/all/rp_filter");
  for (const wire::Answer& answer : dispatched(bridges())) EXPECT_EQ(Errc::kUnsupported, answer.error.code);
  EXPECT_EQ(before_, whole_state());
}

// One after the other, the tap is refused: its bridge comes behind it.
TEST_F(Makings, KeepTheOrderOfATapBeforeItsBridge) {
  done_but(numbered({tap_task(Op::kMake, 3, 3), bridge_task(Op::kMake, 3), bridge_task(Op::kMake, 4)}), {{0, Errc::kNotFound}});
}

TEST_F(Makings, OfTheSameTwiceAreDone) {
  std::vector<wire::Task> twice;
  for (const wire::Task& task : all()) twice.insert(twice.end(), 2, task);
  std::ranges::stable_sort(twice, {}, [](const wire::Task& task) { return task.place.net; });
  all_done(numbered(twice));
  EXPECT_TRUE(whole());
}

// The cluster's subnet is a constant of a policy; where it changes between two bridges, each has its own.
TEST_F(Makings, OfBridgesOfTwoClustersHaveEachItsOwnDeadEnd) {
  std::vector<wire::Task> two = {bridge_task(Op::kMake, 3), bridge_task(Op::kMake, 4)};
  two[1].place.cidr = {10U << 24 | 64U << 16, 12};
  two[1].place.subnet = {10U << 24 | 64U << 16 | 4U << 8, 24};
  two[1].statement.numbers = {4, two[1].place.subnet.packed()};
  all_done(numbered(two));
  EXPECT_TRUE(shell("ip route show table 7170003").contains("blackhole 10.240.0.0/12"));
  EXPECT_TRUE(shell("ip route show table 7170004").contains("blackhole 10.64.0.0/12"));
}

// A tap that another process made in the moment before: it is not taken over.
TEST_F(Makings, OfTapsTakeNothingThatIsThere) {
  const Result<Fd> held = hold_tap("tn3i5", 0);
  ASSERT_TRUE(held);
  const Result<Fd> again = hold_tap("tn3i5", 0, IfThere::kRefuse);
  ASSERT_FALSE(again);
  EXPECT_EQ(Errc::kBusy, again.error().code);
}

}  // namespace
}  // namespace mvm::net
