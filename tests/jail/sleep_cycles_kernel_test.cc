// One microVM, put to sleep and woken again and again, in both ways; each time the guest writes, sleeps, wakes, and looks at every byte.
// MVM_CYCLES: how often; some where it is not said, a thousand in `./dev soak`.
#include <random>

#include "tests/jail/sleep_fixture.h"

namespace mvm::jail {
namespace {

constexpr std::uint32_t kUsualCycles = 12;

class SleepCycles : public RunningFixture {
 protected:
  static std::uint32_t cycles() {
    const char* const said = std::getenv("MVM_CYCLES");
    return said != nullptr ? static_cast<std::uint32_t>(std::stoul(said)) : kUsualCycles;
  }
  // The worker that wakes it is another than the one that put it to sleep, now and then, and wakes in the other way.
  void start_another(bool with_userfaultfd) {
    test::kill_and_wait(worker_);
    has_userfaultfd_ = with_userfaultfd;
    start_workers();
  }
};

TEST_F(SleepCycles, LoseNoByte) {
  std::mt19937 random(std::random_device{}());
  for (std::uint32_t seq = 1; seq <= cycles(); ++seq) {
    ASSERT_EQ(ask_guest("dirty " + std::to_string(random() % 500)), "written");
    const auto asleep = falls_asleep(seq);
    ASSERT_TRUE(asleep) << seq << ": " << asleep.error().message();
    if (seq % 4 == 0) start_another(seq % 8 == 0);
    const auto awake = wakes(seq);
    ASSERT_TRUE(awake) << seq << ": " << awake.error().message();
    ASSERT_EQ(looked_at(), all_right()) << seq;
    for (int i = 0; i < 3000 && fs::exists(memory_path() + "/waking"); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    ASSERT_FALSE(fs::exists(memory_path() + "/waking")) << seq;
  }
}

}  // namespace
}  // namespace mvm::jail
