// StatsLine: what the service does, in one line of the log now and then.
#pragma once

#include <cstdint>

#include "api/service_core.h"

namespace vsurge::api {

// One thread at a time.
class StatsLine {
 public:
  // Rates are of the time since the last call. Nothing is logged when nothing was done.
  void log(const ServiceCore& core);

 private:
  struct Counts {
    base::Nanoseconds time = 0;
    std::uint64_t steps = 0, prompt_tokens = 0, generation_tokens = 0;
    std::uint64_t prefix_queries = 0, prefix_hits = 0;
    std::uint64_t preemptions = 0, requests = 0, failures = 0;
  };
  Counts last_;
};

}  // namespace vsurge::api
