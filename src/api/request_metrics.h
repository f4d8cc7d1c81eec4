// RequestMetrics: counts requests that have ended, for /metrics.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "api/request_record.h"
#include "engine/metrics.h"

namespace vsurge::api {

// Bounds of Python's prometheus-fastapi-instrumentator, whose metrics vLLM has.
inline constexpr std::array kHttpTimeBounds = {0.1, 0.5, 1.0};
inline constexpr std::array kHttpTimeFineBounds = {0.01, 0.025, 0.05, 0.075, 0.1,  0.25, 0.5,
                                                   0.75, 1.0,   1.5,  2.0,   2.5,  3.0,  3.5,
                                                   4.0,  4.5,   5.0,  7.5,   10.0, 30.0, 60.0};

// A copy is the snapshot.
struct RequestCounts {
  struct Http {
    std::array<std::uint64_t, 6> by_class{};  // [2]: 2xx
    engine::Histogram seconds{kHttpTimeBounds};
    double request_bytes = 0;
    double response_bytes = 0;
  };
  // By route and method. Both are of the route table, or empty.
  std::map<std::pair<std::string_view, std::string_view>, Http> http;
  std::map<std::pair<std::string_view, int>, std::uint64_t> statuses;  // by route
  std::map<std::string, std::uint64_t, std::less<>> errors;            // by code
  engine::Histogram http_seconds{kHttpTimeFineBounds};
  std::uint64_t requests = 0;
  std::uint64_t successes = 0;  // status below 400

  // Of those that the engine got:
  std::uint64_t stopped = 0, cut = 0, aborted = 0, failed = 0;  // choices
  engine::Histogram seconds{engine::kRequestTimeBounds};
  engine::Histogram prefill_seconds{engine::kRequestTimeBounds};
  engine::Histogram decode_seconds{engine::kRequestTimeBounds};
  engine::Histogram run_seconds{engine::kRequestTimeBounds};  // both
  engine::Histogram mean_token_seconds{engine::kTokenTimeBounds};
  engine::Histogram prompt_tokens{engine::kLengthBounds};
  engine::Histogram completion_tokens{engine::kLengthBounds};
  engine::Histogram longest_answer{engine::kLengthBounds};
  engine::Histogram max_tokens{engine::kLengthBounds};
  engine::Histogram choices{engine::kChoicesBounds};
  double tokens_per_second = 0;  // of an answer; newer ones count more
};

// Thread-safe.
class RequestMetrics final : public RequestObserver {
 public:
  void ended(const RequestRecord& record) override;
  RequestCounts counts() const;

 private:
  void count_http(const RequestRecord& record);
  void count_answer(const RequestRecord& record);

  mutable std::mutex mutex_;
  RequestCounts counts_;  // guarded by mutex_
};

}  // namespace vsurge::api
