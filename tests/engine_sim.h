// One simulated life of scheduler and page pool, drawn from a seed: configuration, requests,
// cancels, deadlines, failing rows. After every step all invariants are checked.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/scheduler.h"
#include "tests/engine_sim_oracle.h"

namespace vsurge::engine {

// The inside of the classes under test.
struct SchedulerPeer {
  static const std::vector<Sequence*>& running(const Scheduler& s) { return s.running_; }
  static std::vector<Sequence*>& running(Scheduler& s) { return s.running_; }
  static const auto& waiting(const Scheduler& s) { return s.waiting_; }
  static std::size_t alive(const Scheduler& s) { return s.sequences_.size(); }
  static PagePool& pool(Scheduler& s) { return s.pool_; }
  static int running_max(const Scheduler& s) { return s.running_max_; }
};

// Plants what a faulty pool would do.
struct PagePoolPeer {
  // Makes a held page free, as if it had been released too early.
  static void free_early(PagePool& pool, std::int32_t page);
  // Forgets a free page.
  static bool lose(PagePool& pool);
};

namespace sim {

// How often the situations came up that a run should reach.
struct Seen {
  std::uint64_t steps = 0;
  std::uint64_t requests = 0;
  std::uint64_t refused = 0;
  std::uint64_t preemptions = 0;
  std::uint64_t last_preemptions = 0;  // sequences preempted as often as is allowed
  std::uint64_t chunks = 0;            // parts of a prompt other than the last
  std::uint64_t cancelled_waiting = 0;
  std::uint64_t cancelled_running = 0;
  std::uint64_t deadlines = 0;
  std::uint64_t errors = 0;
  std::uint64_t full_context = 0;  // answers ended by the context
};

class Simulation {
 public:
  // Called before each step with the scheduler and the oracle, to plant a fault.
  using Saboteur = std::function<void(Scheduler&, sim::Random&)>;
  // Called on each plan before it is run.
  using PlanSaboteur = std::function<void(StepPlan&, sim::Random&)>;

  explicit Simulation(std::uint64_t seed);

  // Empty when all went well, else the first fault.
  std::string run();

  void sabotage(Saboteur saboteur) { saboteur_ = std::move(saboteur); }
  void sabotage_plans(PlanSaboteur saboteur) { plan_saboteur_ = std::move(saboteur); }
  const Seen& seen() const { return seen_; }
  std::uint64_t trace() const { return trace_; }  // hash of all events

 private:
  static EngineOptions draw_options(Random& random);
  void arrive();
  void cancel_some();
  void step();
  void take(std::span<const Event> events);
  void take_end(const Event& event, Story& story);
  void check_plan(const StepPlan& plan);
  void check_admission(const StepPlan& plan);
  void check_reserve(const StepPlan& plan);
  void check_state();
  void check_pages();
  int alive() const { return static_cast<int>(SchedulerPeer::alive(*scheduler_)); }
  template <class... Args>
  void report(const char* format, Args... args);

  Random random_;
  const EngineOptions options_;
  std::unique_ptr<Scheduler> scheduler_;
  Oracle oracle_;
  StepResult result_;
  base::Nanoseconds now_ = 1;
  Ticket last_ticket_ = 0;
  std::uint64_t ends_ = 0;
  std::uint64_t trace_ = 0;
  std::string fault_;
  Seen seen_;
  Saboteur saboteur_;
  PlanSaboteur plan_saboteur_;

  // weights of this run, in percent
  int arrival_ = 0;
  int cancel_ = 0;
  int deadline_ = 0;
  int error_ = 0;
  int priorities_ = 0;
  int prompt_max_ = 0;
  int answer_max_ = 0;
};

}  // namespace sim
}  // namespace vsurge::engine
