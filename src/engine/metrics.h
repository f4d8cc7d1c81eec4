// Counters, gauges and histograms of the engine: written by its thread, read by anyone.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace vsurge::engine {

// Cumulative like Prometheus's, with at most kBucketsMax upper bounds. Copying is the snapshot.
class Histogram {
 public:
  static constexpr std::size_t kBucketsMax = 22;

  // Ascending; must outlive the histogram.
  explicit constexpr Histogram(std::span<const double> bounds) : bounds_(bounds) {}

  void observe(double value, std::uint64_t times = 1) {
    std::size_t bucket = 0;
    while (bucket < bounds_.size() && value > bounds_[bucket]) ++bucket;
    counts_[bucket] += times;
    count_ += times;
    sum_ += value * static_cast<double>(times);
  }

  std::span<const double> bounds() const { return bounds_; }
  // Of values above the bound before and up to bounds()[bucket]; the last one has no upper bound.
  std::uint64_t in_bucket(std::size_t bucket) const { return counts_[bucket]; }
  std::uint64_t count() const { return count_; }
  double sum() const { return sum_; }

 private:
  std::span<const double> bounds_;
  std::array<std::uint64_t, kBucketsMax + 1> counts_{};
  std::uint64_t count_ = 0;
  double sum_ = 0;
};

// Bounds as vLLM's metrics have them (vllm/v1/metrics/loggers.py), so that its dashboards work.
inline constexpr std::array kFirstTokenBounds = {
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1,  0.25,  0.5,   0.75,
    1.0,   2.5,   5.0,  7.5,  10.0, 20.0, 40.0, 80.0, 160.0, 640.0, 2560.0};
inline constexpr std::array kTokenTimeBounds = {0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2,
                                                0.3,  0.4,   0.5,  0.75,  1.0, 2.5,  5.0,
                                                7.5,  10.0,  20.0, 40.0,  80.0};
inline constexpr std::array kRequestTimeBounds = {0.3,  0.5,  0.8,  1.0,   1.5,   2.0,   2.5,
                                                  5.0,  10.0, 15.0, 20.0,  30.0,  40.0,  50.0,
                                                  60.0, 120., 240., 480.0, 960.0, 1920., 7680.};
inline constexpr std::array kLengthBounds = {1.0,   2.0,    5.0,    10.0,   20.0,   50.0,
                                             100.0, 200.0,  500.0,  1000.0, 2000.0, 5000.0,
                                             1e4,   20000., 50000., 100000.};
inline constexpr std::array kChoicesBounds = {1.0, 2.0, 5.0, 10.0, 20.0};
inline constexpr std::array kStepTokensBounds = {
    1.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024., 2048.0, 4096.0, 8192.0, 16384.0};

// What the first of those who wait waits for.
enum class WaitReason : std::uint8_t { kNone, kSequences, kPrompts, kPages };

// A snapshot. Counters count since start; times are seconds.
struct EngineMetrics {
  int requests_running = 0;  // choices
  int requests_waiting = 0;
  int requests_suspended = 0;  // of these
  WaitReason waiting_for = WaitReason::kNone;
  int page_size = 0;  // tokens
  int pages_total = 0;
  int pages_used = 0;
  int pages_cached = 0;                 // held by nobody, kept for their content
  std::uint64_t requests_finished = 0;  // choices, by how they ended
  std::uint64_t requests_stopped = 0;   // of the finished: by a stop token
  std::uint64_t requests_cancelled = 0;
  std::uint64_t requests_failed = 0;
  std::uint64_t requests_admitted = 0;
  std::uint64_t requests_refused = 0;
  std::uint64_t prompt_tokens = 0;
  std::uint64_t generation_tokens = 0;
  std::uint64_t preemptions = 0;
  std::uint64_t prefix_queries = 0;  // tokens of prompts that were looked up
  std::uint64_t prefix_hits = 0;     // of these, found
  std::uint64_t pages_evicted = 0;   // of cached pages
  std::uint64_t guesses = 0;         // by speculation, of some tokens each
  std::uint64_t guessed_tokens = 0;
  std::uint64_t accepted_tokens = 0;  // of these
  std::uint64_t steps = 0;
  Histogram queue_time{kRequestTimeBounds};
  Histogram first_token_time{kFirstTokenBounds};  // from arrival
  Histogram token_time{kTokenTimeBounds};         // between tokens
  Histogram request_time{kRequestTimeBounds};
  Histogram prompt_length{kLengthBounds};
  Histogram answer_length{kLengthBounds};
  Histogram step_tokens{kStepTokensBounds};

  // The engine's loop adds these.
  double step_seconds = 0;  // in all; of these:
  double plan_seconds = 0;
  double run_seconds = 0;
  double commit_seconds = 0;
  double step_age_seconds = 0;  // since the step in hand began; 0 when none is
  std::uint64_t stuck_steps = 0;
  bool stuck = false;  // it is older than the watchdog allows
  bool paused = false;
  bool failed = false;  // a fault ended the engine; it serves nothing until started again
};

}  // namespace vsurge::engine
