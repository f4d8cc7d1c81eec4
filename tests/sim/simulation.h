// Runs a scenario: every event, plan and state is checked against the model.
#pragma once

#include <string>

#include "tests/sim/world.h"

namespace vsurge::engine::sim {

class Simulation {
 public:
  // The scenario must outlive it.
  explicit Simulation(const Scenario& scenario);

  // To the end, when nothing is left to happen. Empty when all went well, else the first fault.
  std::string run();

  const Seen& seen() const { return world_.seen; }
  std::uint64_t trace() const { return world_.trace; }
  World& world() { return world_; }

 private:
  void apply(const Op& op);
  void arrive(int request);
  std::vector<TokenId> prompt_of(const RequestSpec& spec);
  Request request_of(const Story& story, const std::vector<TokenId>& prompt) const;
  void cancel(Story& story);
  void cancel(Story& story, int choice);
  void note_namespaces(const Story& story);
  void suspend(Story& story);
  void resume(Story& story);
  void note_cancel(const Story& story, const Choice& choice);
  void clear_cache();
  void flush();
  void abort();
  void step(bool aborts);
  void remember(const StepPlan& plan);
  void note_pages();
  void check_idle();
  void touch_idle();
  int work_left() const;
  Story* story_of(int request);

  const Scenario& scenario_;
  World world_;
  IdlePages idle_;
  Random random_;
  StepResult result_;
  std::vector<PlannedChoice> planned_;
  std::vector<Ticket> tickets_;  // by index of the request; 0 = not there
  std::size_t next_op_ = 0;
};

// A fresh one.
std::string run_scenario(const Scenario& scenario, Seen* seen = nullptr,
                         std::uint64_t* trace = nullptr);

}  // namespace vsurge::engine::sim
