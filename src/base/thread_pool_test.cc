#include "base/thread_pool.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/resource.h>

#include <atomic>
#include <chrono>
#include <numeric>
#include <thread>
#include <vector>

namespace vsurge::base {
namespace {

using std::chrono::steady_clock;

TEST(ThreadPool, CoversEveryIndexOnceInBoundedChunks) {
  for (const int threads : {1, 2, 3, 8}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.size(), threads);
    for (const std::int64_t count : {0, 1, 2, 7, 64, 1000}) {
      for (const std::int64_t grain : {1, 3, 64, 5000}) {
        std::vector<std::atomic<int>> hits(static_cast<std::size_t>(count));
        std::atomic<bool> in_bounds{true};
        pool.parallel_for(count, grain, [&](std::int64_t begin, std::int64_t end, int worker) {
          if (end - begin > grain || begin >= end || worker < 0 || worker >= threads) {
            in_bounds = false;
          }
          for (; begin < end; ++begin) ++hits[static_cast<std::size_t>(begin)];
        });
        EXPECT_TRUE(in_bounds);
        for (const auto& hit : hits) ASSERT_EQ(hit.load(), 1);
      }
    }
  }
}

// Plain memory, so that a race detector sees whether regions are ordered.
TEST(ThreadPool, RegionsSeeWhatEarlierOnesWrote) {
  ThreadPool pool(4);
  std::vector<std::int64_t> values(257);
  for (int round = 0; round < 3000; ++round) {
    pool.parallel_for(257, 5, [&](std::int64_t begin, std::int64_t end, int) {
      for (; begin < end; ++begin) values[static_cast<std::size_t>(begin)] += begin;
    });
    values[0] += 1;
  }
  EXPECT_EQ(values[0], 3000);
  for (std::size_t i = 1; i < values.size(); ++i) {
    ASSERT_EQ(values[i], 3000 * static_cast<std::int64_t>(i));
  }
}

// One worker at a time uses an index: scratch memory per worker needs no lock.
TEST(ThreadPool, WorkerIndexIsExclusive) {
  ThreadPool pool(4);
  std::vector<std::int64_t> scratch(4);
  for (int round = 0; round < 500; ++round) {
    pool.parallel_for(64, 1, [&](std::int64_t, std::int64_t, int worker) {
      ++scratch[static_cast<std::size_t>(worker)];
    });
  }
  EXPECT_EQ(std::accumulate(scratch.begin(), scratch.end(), std::int64_t{0}), 500 * 64);
}

TEST(ThreadPool, WakesAfterSleeping) {
  ThreadPool pool(3);
  for (int round = 0; round < 20; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    std::atomic<std::int64_t> sum{0};
    pool.parallel_for(100, 1, [&](std::int64_t begin, std::int64_t, int) { sum += begin; });
    EXPECT_EQ(sum.load(), 4950);
  }
}

// The others do take part: chunk 0 waits for chunk 1, which another thread must run.
TEST(ThreadPool, ThreadsRunAtTheSameTime) {
  ThreadPool pool(2);
  std::atomic<int> arrived{0};
  pool.parallel_for(2, 1, [&](std::int64_t, std::int64_t, int) {
    ++arrived;
    while (arrived.load() < 2) std::this_thread::yield();
  });
  EXPECT_EQ(arrived.load(), 2);
}

double process_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

TEST(ThreadPool, IdlePoolUsesNoTime) {
  ThreadPool pool(4);
  pool.parallel_for(100, 1, [](std::int64_t, std::int64_t, int) {});
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  const double before = process_seconds();
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  EXPECT_LT(process_seconds() - before, 0.05);
}

// Many more threads than cores, all wanting work: regions must still be short. A pool that waits
// for every thread to come by would need a time slice (milliseconds) for each of them.
TEST(ThreadPool, DoesNotWaitForThreadsWithoutACore) {
  ThreadPool pool(16);
  std::atomic<bool> stop{false};
  std::vector<std::thread> others;
  others.reserve(static_cast<std::size_t>(ThreadPool::allowed_cpus()));
  for (int i = 0; i < ThreadPool::allowed_cpus(); ++i) {
    others.emplace_back([&] {
      while (!stop.load(std::memory_order_relaxed)) {
      }
    });
  }
  const auto start = steady_clock::now();
  constexpr int kRegions = 200;
  for (int round = 0; round < kRegions; ++round) {
    pool.parallel_for(32, 1, [](std::int64_t, std::int64_t, int) {});
  }
  const std::chrono::duration<double> took = steady_clock::now() - start;
  stop = true;
  for (auto& thread : others) thread.join();
  EXPECT_LT(took.count(), kRegions * 0.030);
}

// A thread of another owner takes a core again and again, in the middle of chunks: workers change
// cores, and still each index runs once, and nobody's mask is narrower afterwards.
TEST(ThreadPool, GivesCoresToWorkersThatLostTheirs) {
  cpu_set_t before;
  ASSERT_EQ(sched_getaffinity(0, sizeof before, &before), 0);
  std::atomic<bool> stop{false};
  std::thread other([&] {
    int first = 0;
    while (!CPU_ISSET(first, &before)) ++first;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(first, &one);
    sched_setaffinity(0, sizeof one, &one);
    while (!stop.load(std::memory_order_relaxed)) {
    }
  });
  ThreadPool pool(ThreadPool::allowed_cpus() + 1);
  std::vector<std::int64_t> values(64);
  constexpr int kRegions = 2000;
  for (int round = 0; round < kRegions; ++round) {
    pool.parallel_for(64, 4, [&](std::int64_t begin, std::int64_t end, int) {
      for (; begin < end; ++begin) {
        for (int i = 0; i < 200; ++i) values[static_cast<std::size_t>(begin)] += i % 2;
      }
    });
  }
  stop = true;
  other.join();
  for (const std::int64_t value : values) ASSERT_EQ(value, kRegions * 100);
  cpu_set_t after;
  ASSERT_EQ(sched_getaffinity(0, sizeof after, &after), 0);
  EXPECT_TRUE(CPU_EQUAL(&before, &after));
}

TEST(ThreadPool, AllowedCpusFollowAffinity) {
  cpu_set_t before;
  ASSERT_EQ(sched_getaffinity(0, sizeof before, &before), 0);
  EXPECT_GE(ThreadPool::allowed_cpus(), 1);
  EXPECT_LE(ThreadPool::allowed_cpus(), CPU_COUNT(&before));
  int first = 0;
  while (!CPU_ISSET(first, &before)) ++first;
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(first, &one);
  ASSERT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
  EXPECT_EQ(ThreadPool::allowed_cpus(), 1);
  ASSERT_EQ(sched_setaffinity(0, sizeof before, &before), 0);
}

}  // namespace
}  // namespace vsurge::base
