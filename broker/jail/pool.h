// A fixed number of threads that run tasks from a bounded queue. Header only. Proven by: tests/jail/pool_test.cc.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace mvm::jail {

template <class T>
class Pool {
 public:
  Pool(std::size_t threads, std::size_t most_waiting, std::function<void(const T&)> run) : most_(most_waiting), run_(std::move(run)) {
    for (std::size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { work(); });
  }
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;
  // Finishes what was taken and what waits.
  ~Pool() {
    {
      const std::lock_guard hold(guard_);
      ending_ = true;
    }
    some_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

  // Waits while the queue is full.
  void push(T task) {
    std::unique_lock hold(guard_);
    room_.wait(hold, [this] { return queue_.size() < most_; });
    queue_.push_back(std::move(task));
    some_.notify_one();
  }

 private:
  void work() {
    for (;;) {
      std::unique_lock hold(guard_);
      some_.wait(hold, [this] { return ending_ || !queue_.empty(); });
      if (queue_.empty()) return;
      const T task = std::move(queue_.front());
      queue_.pop_front();
      room_.notify_one();
      hold.unlock();
      run_(task);
    }
  }

  const std::size_t most_;
  const std::function<void(const T&)> run_;
  std::mutex guard_;
  std::condition_variable some_, room_;
  std::deque<T> queue_;
  bool ending_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace mvm::jail
