#include "broker/jail/pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>

namespace mvm::jail {
namespace {

TEST(Pool, RunsEverythingOnceAndFinishesBeforeItEnds) {
  std::atomic<int> sum = 0;
  {
    Pool<int> pool(4, 8, [&](const int& n) { sum += n; });
    for (int i = 1; i <= 1000; ++i) pool.push(i);
  }
  EXPECT_EQ(sum, 500'500);
}

TEST(Pool, RunsAsManyAtOnceAsItHasThreads) {
  std::mutex guard;
  std::condition_variable changed;
  int running = 0, most = 0;
  {
    Pool<int> pool(3, 8, [&](const int&) {
      std::unique_lock hold(guard);
      most = std::max(most, ++running);
      changed.notify_all();
      changed.wait_for(hold, std::chrono::seconds(5), [&] { return most == 3; });
      --running;
    });
    for (int i = 0; i < 6; ++i) pool.push(i);
  }
  EXPECT_EQ(most, 3);
}

TEST(Pool, HoldsBackWhoPushesWhileItsQueueIsFull) {
  std::mutex gate;
  gate.lock();
  std::atomic<int> pushed = 0;
  Pool<int> pool(1, 2, [&](const int&) { const std::lock_guard wait(gate); });
  std::thread producer([&] {
    for (int i = 0; i < 5; ++i) {
      pool.push(i);
      ++pushed;
    }
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_LE(pushed, 3);  // one that runs, two that wait
  gate.unlock();
  producer.join();
  EXPECT_EQ(pushed, 5);
}

}  // namespace
}  // namespace mvm::jail
