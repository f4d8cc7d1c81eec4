// Watchdog: says in the log when a step does not end.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>

#include "base/clock.h"

namespace vsurge::engine {

// Looks now and then, on a thread of its own, whether the step in hand is older than `limit`: once
// it tells so, and once that the step has ended after all. It ends nothing: a step cannot be
// interrupted, and what is slow today may be a disk that wakes up.
class Watchdog {
 public:
  // step_began: when the step in hand began, -1 when there is none. It and `clock` must outlive the
  // watchdog. whose: begins its lines.
  Watchdog(const std::atomic<base::Nanoseconds>& step_began, const base::Clock& clock,
           base::Nanoseconds limit, std::string whose = {});
  ~Watchdog() { stop(); }
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  // One caller at a time. start throws std::system_error when there is no thread.
  void start();
  void stop();
  // Steps that were older than the limit.
  std::uint64_t stuck_steps() const { return stuck_steps_.load(std::memory_order_relaxed); }

 private:
  void watch();
  void look();

  const std::atomic<base::Nanoseconds>& step_began_;
  const base::Clock& clock_;
  const base::Nanoseconds limit_;
  const std::string whose_;
  base::Nanoseconds told_ = -1;  // began then; -1 = none
  std::atomic<std::uint64_t> stuck_steps_{0};

  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace vsurge::engine
