// diff() over every change of one small instance: what jail and snapshot it has, on which slot, before and after. It finds an
// order just where trying every order does.
#include "world.h"

#include "orders.h"
#include "policy-lang/diff.h"

namespace mvm::lang::build {
namespace {

const std::string kOne = snapshot(kFirst, 3, 1), kTwo = snapshot(kFirst, 3, 2);
Texts stand_on(int slot) { return {"cgroup " + kFirst + " cpu=200 mem=1152 pids=64 io=10", "tap " + kFirst + " slot=" + std::to_string(slot) + " pps=0 mbps=0"}; }

// Every jail, or none, with every snapshot, or none, on either slot; and a snapshot alone. Many of them no plan leaves behind.
std::vector<Document> every_state() {
  const std::vector<Texts> snapshots = {{}, {kOne}, {kTwo}};
  std::vector<Texts> all = snapshots;
  for (const Texts& taken : snapshots) {
    for (const int slot : {3, 4}) {
      all.push_back(taken + stand_on(slot));
      for (const std::string& boot : {std::string("cold"), boots(kOne), boots(kTwo)}) {
        for (const char* state : {"running", "warm"}) {
          for (const char* guest : {"awake", "parked"}) all.push_back(taken + stand_on(slot) + Texts{jail(kFirst, state, guest, boot)});
        }
      }
    }
  }
  std::vector<Document> states;
  for (const Texts& texts : all) {
    World world;
    world.state = kNetwork + texts;
    states.push_back(world.state_text());
  }
  return states;
}

TEST(DiffOrders, FindsOneForEveryChangeOfJailAndSnapshotThatHasOne) {
  const std::vector<Document> states = every_state();
  const Subject first = subject(SubjectKind::kInstance, kFirst);
  std::size_t found = 0, none = 0;
  for (const Document& from : states) {
    for (const Document& to : states) {
      const auto plan = diff(from, to);
      ASSERT_EQ(plan.has_value(), test::an_order_exists(from, to, first)) << print(from) << print(to);
      if (!plan) {
        ASSERT_EQ(plan.error().subject, first);
        ++none;
        continue;
      }
      ASSERT_EQ(test::refused_by_order(from, *plan), "") << print(from) << print(to) << print(*plan);
      ASSERT_EQ(apply(from, *plan).value(), to) << print(from) << print(to) << print(*plan);
      ++found;
    }
  }
  EXPECT_GT(found, 2000u);
  EXPECT_GT(none, 4000u);
}

}  // namespace
}  // namespace mvm::lang::build
