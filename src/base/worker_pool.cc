#include "base/worker_pool.h"

#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/log.h"

namespace vsurge::base {

struct WorkerPool::State {
  std::mutex mutex;
  std::condition_variable wake;
  std::deque<std::function<void()>> jobs;  // guarded by mutex
  bool stopping = false;                   // guarded by mutex
  std::size_t queue_max = 0;
  std::vector<std::thread> threads;

  void work() {
    for (;;) {
      std::function<void()> job;
      {
        std::unique_lock lock(mutex);
        wake.wait(lock, [this] { return stopping || !jobs.empty(); });
        if (stopping) return;
        job = std::move(jobs.front());
        jobs.pop_front();
      }
      try {
        job();
      } catch (const std::exception& error) {  // of a library, out of memory most likely
        log_error("a worker's job ended early: {}", error.what());
      }
    }
  }
};

WorkerPool::WorkerPool(int threads, std::size_t queue_max) : state_(std::make_unique<State>()) {
  CHECK(threads >= 1 && queue_max >= 1, "{} threads, queue of {}", threads, queue_max);
  state_->queue_max = queue_max;
  for (int i = 0; i < threads; ++i) {
    state_->threads.emplace_back([state = state_.get()] { state->work(); });
  }
}

WorkerPool::~WorkerPool() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopping = true;
  }
  state_->wake.notify_all();
  for (auto& thread : state_->threads) thread.join();
  // Waiting jobs die with state_, after the last thread: their destructors may touch anything that
  // outlives the pool.
}

bool WorkerPool::post(std::function<void()> job) {
  {
    const std::lock_guard lock(state_->mutex);
    if (state_->stopping || state_->jobs.size() >= state_->queue_max) return false;
    state_->jobs.push_back(std::move(job));
  }
  state_->wake.notify_one();
  return true;
}

}  // namespace vsurge::base
