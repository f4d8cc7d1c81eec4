// Progress of loading: a bar on a terminal, log lines otherwise.
#pragma once

#include <cstdint>
#include <string>

#include "base/clock.h"

namespace vsurge::facade {

// One thread. A bar is redrawn at most ten times a second and erased at the end; a log line comes
// every ten seconds.
class Progress {
 public:
  explicit Progress(std::string what);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void update(std::int64_t done, std::int64_t total);

 private:
  std::string what_;
  bool terminal_;
  base::SteadyClock clock_;
  base::Nanoseconds started_;
  base::Nanoseconds shown_;
};

}  // namespace vsurge::facade
