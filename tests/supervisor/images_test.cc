// Images of a plan, by a whole hostd: held while the plan runs, and their manifests believed where they are what they are named by.
#include <sys/file.h>

#include <thread>

#include "broker/supervisor/images.h"
#include "policy-lang/manifest.h"
#include "tests/supervisor/hostd_process.h"

namespace mvm::test {
namespace {

class HostdImages : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(hostd.start()) << hostd.errors(); }
  void TearDown() override { EXPECT_EQ(hostd.violations(), ""); }
  // As `mvm image collect` asks for it.
  [[nodiscard]] bool may_be_collected() const {
    const Fd image(open(hostd.image().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    return flock(image.get(), LOCK_EX | LOCK_NB) == 0;
  }
  [[nodiscard]] bool is_open() const { return std::filesystem::exists(hostd.kernel() + "/image." + to_hex(parse_digest(kImage)->bytes)); }
  // One instance cannot be made, and why; all that was there before stands.
  void expect_failed(const std::string& why) {
    const auto before = hostd.state().statements;
    const Reply reply = hostd.reach(running_lines(1, 0));
    ASSERT_TRUE(reply.last) << reply.last.error().message();
    const auto* finished = std::get_if<wire::Finished>(&*reply.last);
    ASSERT_NE(finished, nullptr);
    EXPECT_EQ(finished->failed, 1u);
    std::string said;
    for (const wire::Event& event : reply.events) {
      const auto* progress = std::get_if<wire::Progress>(&event);
      if (progress != nullptr && progress->phase == wire::Phase::kFailed) said += progress->line + ": " + progress->error.message();
    }
    EXPECT_THAT(said, testing::StartsWith("+ jail"));
    EXPECT_THAT(said, testing::HasSubstr(why));
    EXPECT_EQ(std::ranges::count_if(hostd.state().statements, [](const auto& line) { return line.subject.kind == SubjectKind::kInstance; }), 0);
  }
  HostdProcess hostd;
};

TEST(HeldImages, AreAsManyOfOnePlanAsTheLimitAndNotOneMore) {
  char directory[] = "/tmp/mvm-images-test-XXXXXX";
  ASSERT_NE(mkdtemp(directory), nullptr);
  const supervisor::Images images(Fd(open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)));
  supervisor::GateClient gate{Fd()};
  lang::Document plan;
  for (std::size_t i = 0; i <= supervisor::kMaxHeldImages; ++i) {
    lang::Statement jail;
    jail.sign = lang::Sign::kAdd;
    jail.word = lang::Word::kJail;
    jail.digests[0] = sha256(std::to_string(i));
    plan.statements.push_back(jail);
  }
  const auto held = images.hold(plan, gate);
  ASSERT_TRUE(held);
  for (std::size_t i = 0; i <= supervisor::kMaxHeldImages; ++i) {
    EXPECT_EQ(held->at(sha256(std::to_string(i))).error().code, i < supervisor::kMaxHeldImages ? Errc::kNotFound : Errc::kLimit) << i;
  }
  std::filesystem::remove(directory);
}

TEST_F(HostdImages, AreHeldFromBeforeAPlanBeginsUntilItHasEnded) {
  hostd.steer("slow", "200");
  EXPECT_TRUE(may_be_collected());
  std::thread plan([this] { EXPECT_TRUE(hostd.reach(running_lines(1, 0)).last); });
  bool held_before_the_first_thing = false;
  while (hostd.things().empty()) {
    const bool held = !may_be_collected();
    held_before_the_first_thing = held && hostd.things().empty();
    if (held_before_the_first_thing) break;
    usleep(1000);
  }
  EXPECT_TRUE(held_before_the_first_thing);
  while (hostd.things().size() < things_of({lang::Kind::kState, {}, running_lines(1, 0)}).size()) {
    EXPECT_FALSE(may_be_collected());
    usleep(1000);
  }
  plan.join();
  EXPECT_EQ(hostd.state().statements, running_lines(1, 0)) << "from here on the records name it";
  EXPECT_TRUE(may_be_collected());
}

TEST_F(HostdImages, ThatAreNotThereFailTheirOwnInstancesAlone) {
  std::filesystem::rename(hostd.image(), hostd.image() + "x");
  expect_failed("not-found");
  std::filesystem::rename(hostd.image() + "x", hostd.image());
  const Reply again = hostd.reach(running_lines(1, 0));
  ASSERT_TRUE(again.last);
  EXPECT_TRUE(std::get<wire::Finished>(*again.last).complete());
}

TEST_F(HostdImages, WithAManifestOfAnotherOrNoneAreNotUsed) {
  const std::string manifest = hostd.image() + "/manifest";
  HostdProcess::put(manifest, ended("mvm-manifest 1\nflake path:other\nlock digest=" + kImage + "\nkernel digest=" + kImage + " bytes=1\nrootfs root=" + kImage + " blocks=2\n"));
  expect_failed("the image is named by");
  std::filesystem::remove(manifest);
  expect_failed("manifest");
  HostdProcess::put(manifest, std::string(lang::kMaxManifestBytes + 1, 'x'));
  expect_failed("manifest");
}

TEST_F(HostdImages, ThatSomebodyLocksForGoodAreNotWaitedForForLong) {
  const Fd image(open(hostd.image().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  ASSERT_EQ(flock(image.get(), LOCK_EX), 0);
  expect_failed("it is locked");
}

TEST_F(HostdImages, AreOpenForAsLongAsAJailHasThem) {
  EXPECT_FALSE(is_open());
  ASSERT_TRUE(hostd.reach(running_lines(2, 1)).last);
  EXPECT_TRUE(is_open());
  ASSERT_TRUE(hostd.reach(running_lines(1, 0)).last);
  EXPECT_TRUE(is_open());
  ASSERT_TRUE(hostd.reach({}).last);
  EXPECT_FALSE(is_open());
  EXPECT_THAT(hostd.audit_log(), testing::HasSubstr("closed image " + kImage));
}

TEST_F(HostdImages, ThatAJailOfWasNeverMadeAreClosedAgain) {
  hostd.steer("fail.jail.acme.workers.i-00000001");
  ASSERT_TRUE(hostd.reach(running_lines(1, 0)).last);
  EXPECT_FALSE(is_open());
}

TEST_F(HostdImages, ThatCannotBeOpenedFailTheirInstances) {
  hostd.steer("fail-at-open");
  expect_failed("open");
  EXPECT_FALSE(is_open());
}

TEST_F(HostdImages, OfAMicrovmThatEndsByItselfAreClosed) {
  ASSERT_TRUE(hostd.reach(running_lines(1, 0)).last);
  hostd.steer("end.jail.acme.workers.i-00000001");
  for (int i = 0; i < 500 && is_open(); ++i) usleep(10'000);
  EXPECT_FALSE(is_open());
}

TEST_F(HostdImages, LeftOpenByAnEarlierHostdAreClosedByTheNextAndThoseInUseAreNot) {
  for (const bool used : {false, true}) {
    if (used) {
      ASSERT_TRUE(hostd.reach(running_lines(1, 0)).last);
    }
    hostd.kill_it();
    hostd.steer("image." + to_hex(parse_digest(kImage)->bytes));
    ASSERT_TRUE(hostd.start()) << hostd.errors();
    EXPECT_EQ(is_open(), used);
  }
}

TEST_F(HostdImages, ThatSomebodyElseHoldsOpenAreNoReasonToEnd) {
  hostd.steer("stuck.image." + to_hex(parse_digest(kImage)->bytes));
  ASSERT_TRUE(hostd.reach(running_lines(1, 0)).last);
  ASSERT_TRUE(hostd.reach({}).last);
  EXPECT_EQ(hostd.state().statements.size(), 0u);
  EXPECT_TRUE(is_open());
  EXPECT_THAT(hostd.audit_log(), testing::HasSubstr("not-closed image " + kImage));
  hostd.kill_it();
  ASSERT_TRUE(hostd.start()) << hostd.errors();
  EXPECT_TRUE(is_open());
  hostd.unsteer("stuck.image." + to_hex(parse_digest(kImage)->bytes));
  hostd.kill_it();
  ASSERT_TRUE(hostd.start()) << hostd.errors();
  EXPECT_FALSE(is_open());
}

TEST_F(HostdImages, ThatAreDamagedAreToldOfOnce) {
  ASSERT_TRUE(hostd.reach(running_lines(2, 0)).last);
  hostd.steer("damaged.image." + to_hex(parse_digest(kImage)->bytes));
  for (const char* instance : {"i-00000001", "i-00000002"}) {  // whose end makes hostd look at what there is
    hostd.steer(std::string("end.jail.acme.workers.") + instance);
    for (int i = 0; i < 500 && std::ranges::count(hostd.things(), std::string("jail.acme.workers.") + instance) != 0; ++i) usleep(10'000);
    usleep(100'000);
  }
  const std::string log = hostd.audit_log(), told = "damaged image " + kImage;
  const auto first = log.find(told);
  ASSERT_NE(first, std::string::npos) << log;
  EXPECT_EQ(log.find(told, first + 1), std::string::npos);
}

TEST_F(HostdImages, ThatAreBeingCollectedAreWaitedFor) {
  const Fd image(open(hostd.image().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  ASSERT_EQ(flock(image.get(), LOCK_EX), 0);
  std::thread collector([&] {
    usleep(150'000);
    flock(image.get(), LOCK_UN);
  });
  const Reply reply = hostd.reach(running_lines(1, 0));
  collector.join();
  ASSERT_TRUE(reply.last);
  EXPECT_TRUE(std::get<wire::Finished>(*reply.last).complete());
}

}  // namespace
}  // namespace mvm::test
