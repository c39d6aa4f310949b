// Removals that come side by side: what goes together, what does not, and what each is answered.
#include <algorithm>

#include "tests/net/net_fixture.h"

namespace mvm::net {
namespace {

using wire::Op;

class Removals : public InANamespace {
 protected:
  void SetUp() override {
    InANamespace::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    shell("echo 1 > /proc/sys/net/ipv4/ip_forward");
    before_ = whole_state();
    for (std::uint16_t net = 3; net < 8; ++net) add(net);
  }
  const std::vector<Subnet> kListed = {{192U << 24 | 2U << 8, 24}, {198U << 24 | 51U << 16 | 100U << 8, 24}};
  void add(std::uint16_t net) {
    make(bridge_task(Op::kMake, net));
    wire::Task rule = rule_task(Op::kMake, net, net % 2 == 0 ? lang::kEgressNat : lang::kEgressListed);
    rule.statement.numbers[1] = 20'000;
    if (net % 2 != 0) rule.egress = kListed;
    make(rule);
    for (std::uint32_t slot = 3; slot < 5; ++slot) make(tap_task(Op::kMake, net, slot));
  }
  static std::vector<wire::Task> taps(std::uint16_t from, std::uint16_t to) {
    std::vector<wire::Task> tasks;
    for (std::uint16_t net = from; net < to; ++net)
      for (std::uint32_t slot = 3; slot < 5; ++slot) tasks.push_back(tap_task(Op::kUnmake, net, slot));
    return tasks;
  }
  static std::vector<wire::Task> tenants(std::uint16_t from, std::uint16_t to) {
    std::vector<wire::Task> tasks;
    for (std::uint16_t net = from; net < to; ++net) {
      tasks.push_back(rule_task(Op::kUnmake, net, lang::kEgressNat));
      tasks.push_back(bridge_task(Op::kUnmake, net));
    }
    for (std::size_t i = 0; i < tasks.size(); ++i) tasks[i].seq = 100 + i;
    return tasks;
  }
  void all_done(const std::vector<wire::Task>& tasks) {
    const std::vector<wire::Answer> answers = dispatch_all(kernel(), tasks);
    ASSERT_EQ(tasks.size(), answers.size());
    for (std::size_t i = 0; i < tasks.size(); ++i) {
      EXPECT_EQ(tasks[i].seq, answers[i].seq);
      EXPECT_TRUE(answers[i].ok) << answers[i].error.message();
    }
  }
  // Those of a word that are whole; what there is a part of fails the test.
  std::vector<std::uint16_t> left(lang::Word word) {
    std::vector<std::uint16_t> nets;
    wire::Task wanted = inventory_task();
    wanted.egress = kListed;
    for (const wire::Item& item : inventory_items(wanted)) {
      EXPECT_TRUE(item.alive) << item.net;
      if (item.word == word) nets.push_back(item.net);
    }
    return nets;
  }
  std::string before_;
};

using Nets = std::vector<std::uint16_t>;

TEST_F(Removals, OfAllThatThereIsLeaveNothing) {
  std::vector<wire::Task> all = taps(3, 8);
  for (wire::Task& task : tenants(3, 8)) all.push_back(task);
  all_done(all);
  EXPECT_EQ(before_, whole_state());
}

TEST_F(Removals, OfSomeTenantsLeaveTheOthersWhole) {
  all_done(taps(4, 7));
  all_done(tenants(4, 7));
  EXPECT_EQ((Nets{3, 7}), left(lang::Word::kBridge));
  EXPECT_EQ((Nets{3, 7}), left(lang::Word::kRule));
  EXPECT_EQ((Nets{3, 3, 7, 7}), left(lang::Word::kTap));
  const std::string state = whole_state();
  for (const char* gone : {"br-tenant-4", "br-tenant-5", "tn6i3", "7170004", "7170006"}) EXPECT_FALSE(state.contains(gone)) << gone;
}

TEST_F(Removals, OfRulesAloneLeaveTheirBridges) {
  std::vector<wire::Task> rules = tenants(4, 7);
  std::erase_if(rules, [](const wire::Task& task) { return task.statement.word != lang::Word::kRule; });
  all_done(rules);
  EXPECT_EQ((Nets{3, 4, 5, 6, 7}), left(lang::Word::kBridge));
  EXPECT_EQ((Nets{3, 7}), left(lang::Word::kRule));
}

TEST_F(Removals, CanBeRepeated) {
  for (int i = 0; i < 2; ++i) {
    all_done(taps(4, 7));
    all_done(tenants(4, 7));
  }
  EXPECT_EQ((Nets{3, 7}), left(lang::Word::kBridge));
}

// That it is one step for all is seen by what else is in their group.
TEST_F(Removals, OfBridgesGoByTheirGroup) {
  all_done(taps(3, 8));
  shell("ip link set br-tenant-7 group " + std::to_string(kLeavingGroup));
  all_done({tenants(3, 4)[1]});
  EXPECT_TRUE(shell("ip -br link").contains("br-tenant-7")) << "one alone has no need of it";
  all_done(tenants(4, 6));
  EXPECT_FALSE(shell("ip -br link").contains("br-tenant-7"));
}

// The kernel would delete a bridge with its ports on.
TEST_F(Removals, OfABridgeWithATapOnItAreRefusedAndTheOthersDone) {
  all_done(taps(4, 6));
  const std::vector<wire::Answer> answers = dispatch_all(kernel(), tenants(4, 7));
  for (std::size_t i = 0; i < 5; ++i) EXPECT_TRUE(answers[i].ok) << answers[i].error.message();
  EXPECT_EQ(Errc::kBusy, answers[5].error.code);
  EXPECT_TRUE(answers[5].error.on.contains("tn6i3")) << answers[5].error.on;
  EXPECT_EQ((Nets{3, 6, 7}), left(lang::Word::kBridge));
  EXPECT_EQ((Nets{3, 7}), left(lang::Word::kRule));
  EXPECT_EQ((Nets{3, 3, 6, 6, 7, 7}), left(lang::Word::kTap));
}

TEST_F(Removals, LeaveForeignBridgesOfThoseNamesAndAnswerWhatIsNotSound) {
  all_done(taps(4, 7));
  shell("ip link set br-tenant-5 group 0");
  std::vector<wire::Task> tasks = tenants(4, 7);
  tasks[0].place.net = 4096;
  const std::vector<wire::Answer> answers = dispatch_all(kernel(), tasks);
  EXPECT_FALSE(answers[0].ok) << "a net that is none";
  for (std::size_t i = 1; i < 6; ++i) EXPECT_TRUE(answers[i].ok) << answers[i].error.message();
  EXPECT_TRUE(shell("ip link show br-tenant-5").contains("br-tenant-5"));
  EXPECT_EQ((Nets{3, 7}), left(lang::Word::kBridge));
}

// What makes the one transaction fail is done one by one.
TEST_F(Removals, OfTapsAreEachDoneWhereTheTransactionOfAllIsRefused) {
  shell("nft flush set bridge mvm sources");
  make(tap_task(Op::kMake, 3, 3));
  make(tap_task(Op::kMake, 4, 4));
  all_done(taps(3, 8));
  EXPECT_EQ("", shell("ip -br link | grep ^tn || true"));
  EXPECT_FALSE(shell("nft list set bridge mvm sources").contains("tn"));
}

TEST_F(Removals, OfTapsAreDoneWithoutTheirSubnetBeingKnown) {
  std::vector<wire::Task> tasks = taps(3, 8);
  tasks[4].place.subnet = {};
  all_done(tasks);
  EXPECT_FALSE(shell("nft list set bridge mvm sources").contains("tn"));
}

TEST_F(Removals, OfTheLastTapsTakeTheTablesWhereTheBridgesAreGone) {
  shell("for net in 3 4 5 6 7; do ip link del br-tenant-$net; done");
  all_done(taps(3, 8));
  EXPECT_EQ("", shell("nft list ruleset"));
}

// One after the other, the bridge is refused: its tap goes after it.
TEST_F(Removals, KeepTheOrderOfABridgeBeforeItsTaps) {
  std::vector<wire::Task> tasks = {rule_task(Op::kUnmake, 3, lang::kEgressNat), bridge_task(Op::kUnmake, 3)};
  for (wire::Task& task : taps(3, 4)) tasks.push_back(task);
  const std::vector<wire::Answer> answers = dispatch_all(kernel(), tasks);
  EXPECT_EQ(Errc::kBusy, answers[1].error.code);
  EXPECT_TRUE(answers[0].ok && answers[2].ok && answers[3].ok);
  EXPECT_EQ((Nets{3, 4, 5, 6, 7}), left(lang::Word::kBridge));
}

// A death between the two steps leaves a bridge in the leaving group.
TEST_F(Removals, ThatWereHalfDoneAreFoundAndSweptOrMadeAgain) {
  const auto leave = [] { shell("ip link set br-tenant-3 group " + std::to_string(kLeavingGroup)); };
  leave();
  EXPECT_FALSE(inventory_items().front().alive);
  EXPECT_EQ(Errc::kNotFound, run(tap_task(Op::kMake, 3, 6)).error.code) << "a tap on a bridge that is about to go";
  make(bridge_task(Op::kMake, 3));
  EXPECT_TRUE(inventory_items().front().alive) << "completed, with its ports on";
  all_done(taps(3, 4));
  leave();
  all_done({tenants(3, 4)[0], tenants(3, 4)[1]});
  EXPECT_EQ((Nets{4, 5, 6, 7}), left(lang::Word::kBridge));
}

}  // namespace
}  // namespace mvm::net
