// Time, injected: everything that waits or measures takes a Clock, tests bring ManualClock.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace vsurge::base {

using Nanoseconds = std::int64_t;  // on a clock that never jumps; only differences mean anything

// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual Nanoseconds now() const = 0;
};

class SteadyClock final : public Clock {
 public:
  Nanoseconds now() const override {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
  }
};

// Moves only when told.
class ManualClock final : public Clock {
 public:
  Nanoseconds now() const override { return now_.load(std::memory_order_relaxed); }
  void advance(Nanoseconds by) { now_.fetch_add(by, std::memory_order_relaxed); }

 private:
  std::atomic<Nanoseconds> now_{0};
};

// Wall clock, seconds since 1970: for `created` fields and templates only.
inline std::int64_t unix_seconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace vsurge::base
