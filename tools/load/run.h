// The load itself: clients, when each begins, and what came of it.
#pragma once

#include <vector>

#include "options.h"

namespace vsurge::load {

struct Figures {
  long begun = 0;
  long good = 0;       // answered in full
  long refused = 0;    // 429 or 503, no retries left
  long unadvised = 0;  // times that a 429 had no Retry-After
  long bad = 0;        // malformed ones that got their 400
  long cancelled = 0;
  long failed = 0;  // anything else
  long retried = 0;
  long tokens = 0;  // of good answers
  double seconds = 0;
  double cpu_seconds = 0;          // of this program
  std::vector<double> first_ms;    // to the first text of a stream
  std::vector<double> between_ms;  // between reads that brought text
  std::vector<double> whole_ms;    // of good answers
  std::vector<double> refusal_ms;  // from sending to the end of a 429 or 503
  std::vector<Record> records;     // of all that ended, where they are asked for
};

Figures run(const Options& options);

}  // namespace vsurge::load
