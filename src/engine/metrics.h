// Counters and gauges of the engine: written by its thread, read by anyone.
#pragma once

#include <cstdint>

namespace vsurge::engine {

// A snapshot. Counters count since start.
struct EngineMetrics {
  int requests_running = 0;
  int requests_waiting = 0;
  int pages_total = 0;
  int pages_used = 0;
  std::uint64_t requests_finished = 0;
  std::uint64_t requests_cancelled = 0;
  std::uint64_t requests_failed = 0;
  std::uint64_t requests_refused = 0;
  std::uint64_t prompt_tokens = 0;
  std::uint64_t generation_tokens = 0;
  std::uint64_t preemptions = 0;
  std::uint64_t steps = 0;
  double step_seconds = 0;      // in all
  double step_age_seconds = 0;  // since the step in hand began; 0 when none is
  bool failed = false;          // a fault ended the engine; it serves nothing until started again
};

}  // namespace vsurge::engine
