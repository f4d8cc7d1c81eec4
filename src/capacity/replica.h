// Replica: one engine in simulated time. The scheduler is the real one, with its queue, pages and
// prefix cache; what a step takes is what StepCost predicts.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "engine/scheduler.h"

namespace vsurge::capacity {

// Simulated time ends here, a century from its beginning, so that no file can make it overflow:
// from then on all happens at once.
inline constexpr base::Nanoseconds kEndOfTime = 3'200'000'000'000'000'000;

class Replica {
 public:
  // options must pass check_options, with a cost that is known.
  explicit Replica(const engine::EngineOptions& options);

  // False when the queue is full, as Engine::submit refuses. The request must pass check_request.
  bool submit(engine::Ticket ticket, engine::Request request, base::Nanoseconds now);
  // Plans a step that begins now; false when there is nothing to do, or a step is in hand.
  bool begin_step(base::Nanoseconds now);
  // When the step in hand ends.
  base::Nanoseconds step_end() const { return step_end_; }
  // Valid until the next call.
  std::span<const engine::Event> end_step();

  const engine::EngineMetrics& metrics() { return scheduler_.metrics(); }

 private:
  const engine::EngineOptions options_;
  const engine::TokenId answer_;  // every token of every answer
  engine::Scheduler scheduler_;
  engine::StepResult result_;
  const engine::StepPlan* plan_ = nullptr;  // in hand
  base::Nanoseconds step_end_ = 0;
  std::vector<std::pair<engine::Ticket, engine::Request>> inbox_;  // that came during the step
  std::size_t inbox_tokens_ = 0;
};

}  // namespace vsurge::capacity
