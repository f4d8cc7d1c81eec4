#include "facade/compute_turns.h"

#include <chrono>

namespace vsurge::facade {
namespace {

// Longer than steps take where several models are worth serving.
constexpr base::Nanoseconds kLongestTurn = 2'000'000'000;

// Also when the step throws.
class Turn {
 public:
  explicit Turn(ComputeTurns& turns) : turns_(turns), number_(turns.take()) {}
  ~Turn() { turns_.give_back(number_); }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

 private:
  ComputeTurns& turns_;
  const std::uint64_t number_;
};

}  // namespace

ComputeTurns& ComputeTurns::of_process() {
  static ComputeTurns turns(kLongestTurn);
  return turns;
}

std::uint64_t ComputeTurns::take() {
  std::unique_lock lock(mutex_);
  const std::uint64_t turn = ++last_;
  waiting_.push_back(turn);
  while (holder_ != 0 || waiting_.front() != turn) {
    if (waiting_.front() != turn) {
      changed_.wait(lock);
      continue;
    }
    const base::Nanoseconds left = taken_at_ + longest_ - clock_.now();
    if (left <= 0) {
      holder_ = 0;
    } else {
      changed_.wait_for(lock, std::chrono::nanoseconds(left));
    }
  }
  waiting_.pop_front();
  holder_ = turn;
  taken_at_ = clock_.now();
  // Who is first now watches over this turn.
  if (!waiting_.empty()) changed_.notify_all();
  return turn;
}

void ComputeTurns::give_back(std::uint64_t turn) {
  const std::lock_guard lock(mutex_);
  if (holder_ != turn) return;  // it was lost
  holder_ = 0;
  if (!waiting_.empty()) changed_.notify_all();
}

void TurnRunner::run(const engine::StepPlan& plan, engine::StepResult& result) {
  const base::SteadyClock clock;
  const base::Nanoseconds asked = clock.now();
  const Turn turn(turns_);
  waited_.fetch_add(clock.now() - asked, std::memory_order_relaxed);
  to_.run(plan, result);
}

}  // namespace vsurge::facade
