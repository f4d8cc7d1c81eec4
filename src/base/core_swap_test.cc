#include "base/core_swap.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <atomic>
#include <chrono>
#include <thread>

namespace vsurge::base {
namespace {

cpu_set_t own_mask() {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  EXPECT_EQ(sched_getaffinity(0, sizeof mask, &mask), 0);
  return mask;
}

// A thread that works until it is told to end, and its seat.
class Worker {
 public:
  Worker() {
    while (!ready_.load()) std::this_thread::yield();
  }
  ~Worker() {
    stop_ = true;
    thread_.join();
  }

  CoreSeat seat;
  std::atomic<bool> sleep{false};
  std::atomic<bool> leave{false};
  std::atomic<int> core{-1};
  std::atomic<int> cores_allowed{0};

 private:
  void work() {
    seat.take();
    ready_ = true;
    while (!stop_.load()) {
      if (sleep) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      if (leave.exchange(false)) seat.leave_if_brought();
      core = sched_getcpu();
      const cpu_set_t mask = own_mask();
      cores_allowed = CPU_COUNT(&mask);
    }
  }

  std::atomic<bool> ready_{false};
  std::atomic<bool> stop_{false};
  std::thread thread_{[this] { work(); }};
};

// Looks until it is true: what the scheduler of a busy machine does now is not told by one look.
template <class Condition>
bool comes_true(Condition&& condition) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (std::chrono::steady_clock::now() < end) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return false;
}

TEST(CoreSeat, AnEmptyOneIsNeverMoved) {
  CoreSeat seat;
  EXPECT_FALSE(seat.stands_still());
  EXPECT_FALSE(seat.bring_here());
  seat.leave_if_brought();
  EXPECT_FALSE(seat.busy());
}

TEST(CoreSeat, TellsAThreadThatRunsFromOneThatDoesNot) {
  Worker worker;
  EXPECT_TRUE(comes_true([&] { return !worker.seat.stands_still(); }));
  worker.sleep = true;
  EXPECT_TRUE(comes_true([&] { return worker.seat.stands_still(); }));
}

TEST(CoreSeat, MovesAThreadAndLeavesItsMaskAsItWas) {
  const cpu_set_t mask = own_mask();
  if (CPU_COUNT(&mask) < 2) GTEST_SKIP() << "one core only";
  Worker worker;
  // Both may be moved by the system at any time, so a move is tried until it is seen.
  EXPECT_TRUE(comes_true([&] {
    if (!worker.seat.bring_here()) return false;
    const int here = sched_getcpu();
    std::this_thread::sleep_for(std::chrono::microseconds(200));
    return worker.core.load() == here;
  }));
  EXPECT_TRUE(comes_true([&] {
    worker.seat.bring_here_for_a_while();
    const int here = sched_getcpu();
    worker.leave = true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return !worker.leave && worker.core.load() != here;
  }));
  EXPECT_TRUE(comes_true([&] { return worker.cores_allowed.load() == CPU_COUNT(&mask); }));
}

TEST(CoreSeat, OneCoreIsNotLeft) {
  const cpu_set_t before = own_mask();
  int first = 0;
  while (!CPU_ISSET(first, &before)) ++first;
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(first, &one);
  ASSERT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
  CoreSeat seat;
  seat.take();
  seat.leave_core();
  const cpu_set_t after = own_mask();
  EXPECT_TRUE(CPU_EQUAL(&after, &one));
  EXPECT_EQ(sched_getcpu(), first);
  ASSERT_EQ(sched_setaffinity(0, sizeof before, &before), 0);
}

}  // namespace
}  // namespace vsurge::base
