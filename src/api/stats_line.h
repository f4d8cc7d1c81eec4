// StatsLine: what the service does, in a line of the log for each model now and then.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "api/service_core.h"

namespace vsurge::api {

// One thread at a time.
class StatsLine {
 public:
  // Rates are of the time since the last call. Nothing is logged of a model that did nothing; where
  // there are several, lines name theirs.
  void log(const ServiceHub& hub);

 private:
  struct Counts {
    base::Nanoseconds time = 0;
    std::uint64_t steps = 0, prompt_tokens = 0, generation_tokens = 0;
    std::uint64_t prefix_queries = 0, prefix_hits = 0;
    std::uint64_t preemptions = 0, requests = 0, failures = 0;
  };
  void log_model(const ServiceHub& hub, const ServiceCore& core, const RequestCounts& requests,
                 bool named);

  std::map<std::string, Counts, std::less<>> last_;  // by model
};

}  // namespace vsurge::api
