// Threads for jobs that may take milliseconds and must not block streams: templates, tokenising.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

namespace vsurge::base {

// post() may be called from any thread. The destructor finishes running jobs and drops waiting
// ones.
class WorkerPool {
 public:
  // threads >= 1; at most queue_max >= 1 jobs wait.
  WorkerPool(int threads, std::size_t queue_max);
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // False when the queue is full; the job was not taken then. Jobs must not throw.
  [[nodiscard]] bool post(std::function<void()> job);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace vsurge::base
