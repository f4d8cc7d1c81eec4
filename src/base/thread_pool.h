// The compute threads: fork-join over index ranges, made for some hundred regions per step.
#pragma once

#include <cstdint>
#include <memory>
#include <type_traits>

namespace vsurge::base {

// Owned and called by one thread (the engine's), which is worker 0; threads - 1 others wait. They
// spin for some tens of microseconds after a region and then sleep on a futex, so an idle pool
// costs nothing. Each has a part of the region, whose chunks it takes in order, so that it reads
// memory in order; then it takes chunks of the others: a worker whose core was taken by another
// process delays a region by one chunk, not by its share, and gets the core of one that waits
// (base/core_swap.h).
class ThreadPool {
 public:
  // threads >= 1 counts the caller.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const;

  // Calls fn(begin, end, worker) for chunks of at most `grain` that cover [0, count), each index
  // once, and returns when all are done; what the chunks wrote is visible to the caller. Not to be
  // nested. fn must not throw.
  template <class F>
  void parallel_for(std::int64_t count, std::int64_t grain, F&& fn) {
    using Fn = std::remove_reference_t<F>;
    run(
        count, grain,
        [](void* context, std::int64_t begin, std::int64_t end, int worker) {
          (*static_cast<Fn*>(context))(begin, end, worker);
        },
        const_cast<std::remove_const_t<Fn>*>(&fn));
  }

  // CPUs this process may use: the affinity mask, cut by the cgroup's CPU quota (rounded up).
  static int allowed_cpus();

 private:
  using Region = void (*)(void* context, std::int64_t begin, std::int64_t end, int worker);
  void run(std::int64_t count, std::int64_t grain, Region region, void* context);

  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace vsurge::base
