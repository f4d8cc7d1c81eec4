// Turns of engines at the cores. Each engine's threads are as many as the cores and wait for each
// other many times in a step, so two steps at a time would wait for threads that have no core.
// Instead one step of one engine runs at a time, on all cores, in the order in which they asked.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>

#include "base/clock.h"
#include "engine/step_runner.h"

namespace vsurge::facade {

// Any thread. Who keeps its turn for too long loses it: an engine that hangs holds up nobody for
// longer than that.
class ComputeTurns {
 public:
  explicit ComputeTurns(base::Nanoseconds longest) : longest_(longest) {}
  static ComputeTurns& of_process();

  // Waits for its turn; the number is what to give back.
  std::uint64_t take();
  void give_back(std::uint64_t turn);

 private:
  const base::Nanoseconds longest_;
  const base::SteadyClock clock_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::uint64_t> waiting_;  // guarded by mutex_, as what follows
  std::uint64_t last_ = 0;
  std::uint64_t holder_ = 0;  // 0: nobody
  base::Nanoseconds taken_at_ = 0;
};

// A runner whose steps wait for their turn.
class TurnRunner final : public engine::StepRunner {
 public:
  // Both outlive it.
  TurnRunner(engine::StepRunner& to, ComputeTurns& turns) : to_(to), turns_(turns) {}
  void run(const engine::StepPlan& plan, engine::StepResult& result) override;
  base::Nanoseconds waited() const { return waited_.load(std::memory_order_relaxed); }

 private:
  engine::StepRunner& to_;
  ComputeTurns& turns_;
  std::atomic<base::Nanoseconds> waited_{0};
};

// Stands still while the runner waits for its turn: for what steps cost by themselves.
class WorkClock final : public base::Clock {
 public:
  WorkClock(const base::Clock& clock, const TurnRunner& runner) : clock_(clock), runner_(runner) {}
  base::Nanoseconds now() const override { return clock_.now() - runner_.waited(); }

 private:
  const base::Clock& clock_;
  const TurnRunner& runner_;
};

}  // namespace vsurge::facade
