// How many replicas of a model a load needs: the real scheduler, in simulated time.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "vsurge/surge.h"

namespace vsurge {

// PREFIX sends a request where its first token is to be expected first, what is cached there
// counted; LEAST_LOADED does not count it.
enum class CapacityRouting { PREFIX, LEAST_LOADED, ROUND_ROBIN };

struct CapacityOptions {
  std::string trace;  // path: CSV of Azure's traces, or JSON lines of Mooncake's
  // What a request must have had to count: time to its first token, mean time between its tokens;
  // milliseconds, 0 = whatever it takes.
  double ttft_ms = 0;
  double itl_ms = 0;
  double attain = 0.99;  // (0, 1]: share of the requests that must have had it
  std::vector<int> replicas = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024};  // each 1 to 4096
  double rate = 0;  // requests per second: the trace's times are stretched; 0 = as it is
  std::int64_t requests_max = 0;  // only so many of the trace's first; 0 = all
  CapacityRouting routing = CapacityRouting::PREFIX;
  bool clip_long = false;  // prompts that do not fit the context are cut, else refused and counted
  // Called now and then with the number of replicas and of requests that have come; may be empty.
  std::function<void(int replicas, std::size_t requests)> progress = {};
};

// Seconds.
struct CapacityPercentiles {
  double p50 = 0, p90 = 0, p99 = 0;
};

// What so many replicas would do.
struct CapacityRow {
  int replicas = 0;
  std::int64_t requests = 0;
  std::int64_t finished = 0;
  std::int64_t refused = 0;   // a queue was full
  std::int64_t too_long = 0;  // for the context
  double attained = 0;        // share of the requests that had what the options want
  double goodput = 0;         // such requests per second
  double requests_per_second = 0;
  double answer_tokens_per_second = 0;
  double duration_s = 0;
  double cache_hits = 0;  // share of the prompts' tokens
  std::int64_t preemptions = 0;
  CapacityPercentiles ttft;
  CapacityPercentiles itl;  // all times between two tokens
  CapacityPercentiles e2e;
};

struct CapacityPlan {
  std::vector<CapacityRow> rows;  // by replicas; those asked for, and those tried on the way
  int replicas_needed = 0;        // the fewest that attain it; 0 = none of those tried
};

// For this machine: loads nothing more, measures the steps of `surge` if that was not done yet.
CapacityPlan plan_capacity(vSurge& surge, const CapacityOptions& options);

// For the machine that a file describes (docs/ENGINE.md); reads headers of the checkpoint only.
CapacityPlan plan_capacity(const std::string& pretrained_model_name_or_path,
                           const std::string& machine_file, const PretrainedOptions& pretrained,
                           const SurgeOptions& surge, const CapacityOptions& options);

// Such a file for this machine: the measured times of steps.
std::string measure_machine(vSurge& surge);

}  // namespace vsurge
