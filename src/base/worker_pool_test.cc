#include "base/worker_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <thread>
#include <vector>

namespace vsurge::base {
namespace {

TEST(WorkerPool, RunsEveryJobOnce) {
  std::atomic<int> runs{0};
  std::promise<void> all;
  WorkerPool pool(4, 1000);
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(pool.post([&] {
      if (runs.fetch_add(1) + 1 == 1000) all.set_value();
    }));
  }
  all.get_future().wait();
  EXPECT_EQ(runs.load(), 1000);
}

TEST(WorkerPool, AFullQueueRefusesTheJobAndForgetsIt) {
  std::promise<void> entered;
  std::promise<void> go;
  WorkerPool pool(1, 2);
  ASSERT_TRUE(pool.post([&] {
    entered.set_value();
    go.get_future().wait();
  }));
  entered.get_future().wait();
  EXPECT_TRUE(pool.post([] {}));
  EXPECT_TRUE(pool.post([] {}));
  auto owned = std::make_shared<int>(1);
  EXPECT_FALSE(pool.post([owned] {}));
  EXPECT_EQ(owned.use_count(), 1);
  go.set_value();
}

TEST(WorkerPool, TheEndFinishesTheRunningJobAndDropsWaitingOnes) {
  std::promise<void> entered;
  std::atomic<bool> ending{false};
  std::atomic<bool> finished{false};
  auto dropped = std::make_shared<int>(1);
  {
    WorkerPool pool(1, 8);
    ASSERT_TRUE(pool.post([&] {
      entered.set_value();
      while (!ending) std::this_thread::yield();
      // Long enough for the destructor to have begun: it waits for this job.
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      finished = true;
    }));
    entered.get_future().wait();
    ASSERT_TRUE(pool.post([dropped] { ADD_FAILURE() << "a waiting job ran"; }));
    ending = true;
  }
  EXPECT_TRUE(finished.load());
  EXPECT_EQ(dropped.use_count(), 1);
}

TEST(WorkerPool, ManyThreadsMayPost) {
  std::atomic<int> runs{0};
  constexpr int kPosters = 4;
  constexpr int kJobs = 500;
  {
    std::promise<void> all;
    WorkerPool pool(2, kPosters * kJobs);
    std::vector<std::future<void>> posters;
    posters.reserve(kPosters);
    for (int i = 0; i < kPosters; ++i) {
      posters.push_back(std::async(std::launch::async, [&] {
        for (int job = 0; job < kJobs; ++job) {
          ASSERT_TRUE(pool.post([&] {
            if (runs.fetch_add(1) + 1 == kPosters * kJobs) all.set_value();
          }));
        }
      }));
    }
    for (auto& poster : posters) poster.get();
    all.get_future().wait();
  }
  EXPECT_EQ(runs.load(), kPosters * kJobs);
}

TEST(WorkerPoolDeathTest, NeedsAThreadAndAQueue) {
  EXPECT_DEATH(WorkerPool(0, 1), "check failed");
  EXPECT_DEATH(WorkerPool(1, 0), "check failed");
}

}  // namespace
}  // namespace vsurge::base
