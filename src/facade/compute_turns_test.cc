#include "facade/compute_turns.h"

#include <gtest/gtest.h>

#include <chrono>
#include <stdexcept>
#include <thread>
#include <vector>

namespace vsurge::facade {
namespace {

constexpr base::Nanoseconds kLong = 60'000'000'000;

// Counts how many are in it at once.
class CountingRunner final : public engine::StepRunner {
 public:
  explicit CountingRunner(std::atomic<int>& inside, std::atomic<int>& most)
      : inside_(inside), most_(most) {}
  void run(const engine::StepPlan&, engine::StepResult&) override {
    const int now = inside_.fetch_add(1) + 1;
    if (now > most_.load()) most_.store(now);
    std::this_thread::sleep_for(std::chrono::microseconds(50));
    inside_.fetch_sub(1);
    ++steps_;
  }
  int steps() const { return steps_; }

 private:
  std::atomic<int>& inside_;
  std::atomic<int>& most_;
  int steps_ = 0;
};

TEST(ComputeTurns, OneStepAtATime) {
  ComputeTurns turns(kLong);
  std::atomic<int> inside{0}, most{0};
  std::vector<std::thread> engines;
  for (int i = 0; i < 4; ++i) {
    engines.emplace_back([&] {
      CountingRunner runner(inside, most);
      TurnRunner turn(runner, turns);
      engine::StepResult result;
      for (int step = 0; step < 100; ++step) turn.run({}, result);
      EXPECT_EQ(runner.steps(), 100);
    });
  }
  for (auto& engine : engines) engine.join();
  EXPECT_EQ(most.load(), 1);
}

TEST(ComputeTurns, InTheOrderInWhichTheyAsked) {
  ComputeTurns turns(kLong);
  const std::uint64_t first = turns.take();
  std::vector<int> order;  // written by who has the turn
  std::vector<std::thread> others;
  for (int i = 0; i < 3; ++i) {
    others.emplace_back([&, i] {
      const std::uint64_t turn = turns.take();
      order.push_back(i);
      turns.give_back(turn);
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(50));  // until it waits
  }
  turns.give_back(first);
  for (auto& other : others) other.join();
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2}));
}

TEST(ComputeTurns, WhoHangsHoldsUpNobodyForLong) {
  ComputeTurns turns(30'000'000);
  const std::uint64_t hangs = turns.take();
  const base::SteadyClock clock;
  const base::Nanoseconds begun = clock.now();
  const std::uint64_t second = turns.take();
  EXPECT_GE(clock.now() - begun, 30'000'000);
  turns.give_back(hangs);  // too late: the turn is another's
  std::atomic<bool> third_has_it{false};
  std::thread third([&] {
    const std::uint64_t turn = turns.take();
    third_has_it = true;
    turns.give_back(turn);
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  turns.give_back(second);
  third.join();
  EXPECT_TRUE(third_has_it);
}

TEST(ComputeTurns, AStepThatThrowsGivesItBack) {
  class Throws final : public engine::StepRunner {
    void run(const engine::StepPlan&, engine::StepResult&) override {
      throw std::runtime_error("no");
    }
  } throws;
  ComputeTurns turns(kLong);
  TurnRunner runner(throws, turns);
  engine::StepResult result;
  EXPECT_THROW(runner.run({}, result), std::runtime_error);
  turns.give_back(turns.take());
}

TEST(ComputeTurns, TheClockOfWorkStandsStillMeanwhile) {
  ComputeTurns turns(kLong);
  std::atomic<int> inside{0}, most{0};
  CountingRunner runner(inside, most);
  TurnRunner turn(runner, turns);
  const base::ManualClock clock;
  const WorkClock work(clock, turn);
  const std::uint64_t other = turns.take();
  std::thread waits([&] {
    engine::StepResult result;
    turn.run({}, result);
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  turns.give_back(other);
  waits.join();
  EXPECT_LE(work.now(), -10'000'000);
}

}  // namespace
}  // namespace vsurge::facade
