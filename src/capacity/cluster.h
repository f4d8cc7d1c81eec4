// Cluster: a trace served by a number of replicas, in simulated time.
#pragma once

#include <cstdint>
#include <functional>

#include "capacity/router.h"
#include "capacity/trace.h"
#include "engine/options.h"

namespace vsurge::capacity {

// What a request must have had to count as served well; seconds, 0 = whatever it takes.
struct Objective {
  double first_token = 0;
  double token = 0;  // mean time between its tokens
};

struct ClusterOptions {
  engine::EngineOptions engine;  // of each replica; with a cost that is known
  int replicas = 1;
  Routing routing = Routing::kPrefix;
  double time_scale = 1;   // arrivals are so many times as far apart
  bool clip_long = false;  // prompts that do not fit the context are cut at their end, else refused
  Objective objective = {};
  // Called now and then with the requests that have come; may be empty.
  std::function<void(std::size_t requests)> progress = {};
};

struct Percentiles {
  double p50 = 0, p90 = 0, p99 = 0;
};

// Times are seconds.
struct Outcome {
  std::size_t requests = 0;
  std::size_t finished = 0;
  std::size_t refused = 0;   // the queue was full
  std::size_t too_long = 0;  // for the context
  std::size_t attained = 0;  // finished as the objective wants it
  double duration = 0;       // from the first arrival to the last end
  std::int64_t prompt_tokens = 0;
  std::int64_t answer_tokens = 0;
  double cache_hits = 0;  // share of the prompts' tokens
  std::uint64_t preemptions = 0;
  std::uint64_t steps = 0;
  Percentiles first_token;
  Percentiles token;  // all times between two tokens, to a hundredth
  Percentiles request;

  double attainment() const {
    return requests == 0 ? 0 : static_cast<double>(attained) / static_cast<double>(requests);
  }
  double goodput() const { return duration > 0 ? static_cast<double>(attained) / duration : 0; }
  double answer_tokens_per_second() const {
    return duration > 0 ? static_cast<double>(answer_tokens) / duration : 0;
  }
};

// The same trace and options give the same outcome.
Outcome simulate(const Trace& trace, const ClusterOptions& options);

}  // namespace vsurge::capacity
