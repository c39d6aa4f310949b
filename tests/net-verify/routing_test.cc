// Routing rules and tables on boxes.
#include "net-verify/walk/routing.h"

#include <gtest/gtest.h>

namespace mvm::verify {
namespace {

constexpr std::uint32_t kUp = 1;

std::uint32_t ip(std::uint32_t a, std::uint32_t b, std::uint32_t c, std::uint32_t d) { return a << 24 | b << 16 | c << 8 | d; }

Link link(std::uint32_t index, const std::string& name) {
  Link made;
  made.index = index;
  made.name = name;
  made.flags = kUp;
  return made;
}

Route route(std::uint32_t table, std::uint32_t base, std::uint8_t prefix, std::uint32_t to, RouteType type = RouteType::kUnicast) {
  Route made;
  made.table = table;
  made.base = base;
  made.prefix = prefix;
  made.type = type;
  if (to != 0) made.links = {to};
  return made;
}

RoutingRule look_up(std::uint32_t priority, std::uint32_t table) {
  RoutingRule made;
  made.priority = priority;
  made.action = RuleAction::kTable;
  made.table = table;
  return made;
}

class Routes : public testing::Test {
 protected:
  Routes() {
    snapshot_.links = {link(1, "a"), link(2, "b"), link(3, "up")};
    for (const char* name : {"a", "b", "up", "all"}) snapshot_.settings[name].values = {{"ignore_routes_with_linkdown", 0}, {"route_localnet", 0}};
    snapshot_.rules = {look_up(0, 255), look_up(100, 254)};
    snapshot_.routes = {route(255, ip(10, 0, 1, 1), 32, 1, RouteType::kLocal), route(254, ip(10, 0, 1, 0), 24, 1), route(254, ip(10, 0, 2, 0), 24, 2),
                        route(254, 0, 0, 3)};
  }

  // "host", a link's name, "" where it is dropped; several with a space.
  std::string where(std::uint32_t target, std::uint32_t source = ip(10, 0, 1, 9), std::uint64_t mark = 0) {
    std::ranges::stable_sort(snapshot_.rules, {}, &RoutingRule::priority);
    Evaluator evaluator(snapshot_);
    const Packets packets{Box().with(Field::kTarget, target).with(Field::kSource, source).with(Field::kMark, mark), nullptr, nullptr};
    std::string found;
    for (const Routed& routed : Routing(snapshot_).route(snapshot_.links[0], packets, evaluator))
      found += (found.empty() ? "" : " ") + (routed.fate == Fate::kHost ? "host" : routed.out->name);
    cannot_tell_ = !evaluator.cannot_tell().empty();
    return found;
  }

  Snapshot snapshot_;
  bool cannot_tell_ = false;
};

TEST_F(Routes, TakeTheLongestPrefix) {
  EXPECT_EQ("host", where(ip(10, 0, 1, 1)));
  EXPECT_EQ("a", where(ip(10, 0, 1, 2)));
  EXPECT_EQ("b", where(ip(10, 0, 2, 255)));
  EXPECT_EQ("up", where(ip(10, 0, 3, 0)));
  EXPECT_EQ("up", where(ip(9, 255, 255, 255)));
}

TEST_F(Routes, OfADeadEndDropAndOfAThrowGoOn) {
  snapshot_.rules.push_back(look_up(50, 7));
  snapshot_.routes.push_back(route(7, ip(10, 0, 0, 0), 8, 0, RouteType::kDrop));
  EXPECT_EQ("", where(ip(10, 0, 2, 5)));
  EXPECT_EQ("up", where(ip(11, 0, 2, 5)));
  snapshot_.routes.push_back(route(7, ip(10, 0, 2, 0), 24, 0, RouteType::kThrow));
  EXPECT_EQ("b", where(ip(10, 0, 2, 5)));
}

TEST_F(Routes, AreAskedOnlyByRulesThatTheLinkTheAddressesAndTheMarkMeet) {
  RoutingRule rule = look_up(50, 7);
  snapshot_.routes.push_back(route(7, 0, 0, 2));
  rule.iif = "b";
  snapshot_.rules.push_back(rule);
  EXPECT_EQ("up", where(ip(9, 9, 9, 9))) << "of another link";
  snapshot_.rules[1].iif = "a";  // sorted meanwhile
  snapshot_.rules[1].from = {ip(10, 0, 1, 0), 24};
  EXPECT_EQ("b", where(ip(9, 9, 9, 9)));
  EXPECT_EQ("up", where(ip(9, 9, 9, 9), ip(10, 0, 2, 1))) << "from elsewhere";
  snapshot_.rules[1].mark = 7;
  snapshot_.rules[1].mark_mask = ~0U;
  EXPECT_EQ("up", where(ip(9, 9, 9, 9)));
  EXPECT_EQ("b", where(ip(9, 9, 9, 9), ip(10, 0, 1, 9), 7));
}

TEST_F(Routes, OfARuleThatIsInvertedAreForTheOthers) {
  RoutingRule rule = look_up(50, 7);
  snapshot_.routes.push_back(route(7, 0, 0, 2));
  rule.invert = true;
  rule.from = {ip(10, 0, 1, 0), 24};
  snapshot_.rules.push_back(rule);
  EXPECT_EQ("up", where(ip(9, 9, 9, 9)));
  EXPECT_EQ("b", where(ip(9, 9, 9, 9), ip(10, 0, 2, 1)));
}

TEST_F(Routes, AreJumpedOverByAGoto) {
  RoutingRule jump;
  jump.priority = 40;
  jump.action = RuleAction::kGoto;
  jump.target = 60;
  RoutingRule drop;
  drop.priority = 50;
  drop.action = RuleAction::kDrop;
  snapshot_.rules.push_back(drop);
  EXPECT_EQ("", where(ip(9, 9, 9, 9)));
  snapshot_.rules.push_back(jump);
  EXPECT_EQ("up", where(ip(9, 9, 9, 9)));
}

TEST_F(Routes, ThatAreTooShortForTheRuleArePassedOver) {
  RoutingRule rule = look_up(50, 254);
  rule.suppress_prefix = 0;
  snapshot_.rules[1].action = RuleAction::kDrop;
  snapshot_.rules.push_back(rule);
  EXPECT_EQ("b", where(ip(10, 0, 2, 9)));
  EXPECT_EQ("", where(ip(9, 9, 9, 9)));
}

TEST_F(Routes, OfATosAreTakenOrNotAsTheSenderLikes) {
  snapshot_.routes.push_back(route(254, ip(10, 0, 2, 0), 24, 3));
  snapshot_.routes.back().tos = 16;
  EXPECT_EQ("up b", where(ip(10, 0, 2, 9)));
}

TEST_F(Routes, OfALinkThatIsDownMayBeThereOrNot) {
  snapshot_.links[1].flags = 0;
  EXPECT_EQ("b up", where(ip(10, 0, 2, 9)));
}

TEST_F(Routes, LeadToTheHostForGroupsAndNowhereForLoopback) {
  EXPECT_EQ("host", where(ip(224, 0, 0, 1)));
  EXPECT_EQ("host", where(ip(255, 255, 255, 255)));
  EXPECT_EQ("", where(ip(127, 0, 0, 1)));
  EXPECT_EQ("", where(ip(10, 0, 2, 9), ip(127, 0, 0, 1)));
  snapshot_.settings["a"].values["route_localnet"] = 1;
  EXPECT_EQ("up", where(ip(127, 0, 0, 1)));
}

TEST_F(Routes, ThatAreNotModelledAreNotGuessedAt) {
  EXPECT_EQ("up", where(ip(9, 9, 9, 9)));
  EXPECT_FALSE(cannot_tell_);
  snapshot_.routes.push_back(route(254, ip(9, 0, 0, 0), 8, 3));
  snapshot_.routes.back().unknown = true;  // a nexthop object
  EXPECT_EQ("", where(ip(9, 9, 9, 9)));
  EXPECT_TRUE(cannot_tell_);
}

}  // namespace
}  // namespace mvm::verify
