#include "api/request_metrics.h"

#include <algorithm>

namespace vsurge::api {
namespace {

constexpr double kAverageWeight = 0.1;  // of the newest answer in tokens_per_second

double seconds(base::Nanoseconds time) {
  return 1e-9 * static_cast<double>(time);
}

// What a client can choose must not become labels without end.
std::string_view known_method(std::string_view method) {
  static constexpr auto kMethods =
      std::to_array<std::string_view>({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"});
  const auto* found = std::ranges::find(kMethods, method);
  return found == kMethods.end() ? "" : *found;
}

}  // namespace

void RequestMetrics::ended(const RequestRecord& record) {
  const std::lock_guard lock(mutex_);
  if (!record.background) count_http(record);  // its request has a record of its own
  if (!record.error_code.empty()) ++counts_.errors[record.error_code];
  if (record.choices > 0) count_answer(record);
}

RequestCounts RequestMetrics::counts() const {
  const std::lock_guard lock(mutex_);
  return counts_;
}

void RequestMetrics::count_http(const RequestRecord& record) {
  ++counts_.requests;
  counts_.successes += record.status < 400 ? 1 : 0;
  const double time = seconds(record.ended - record.arrived);
  counts_.http_seconds.observe(time);
  RequestCounts::Http& http = counts_.http[{record.route, known_method(record.method)}];
  ++http.by_class.at(static_cast<std::size_t>(std::clamp(record.status / 100, 0, 5)));
  http.seconds.observe(time);
  http.request_bytes += static_cast<double>(record.request_bytes);
  http.response_bytes += static_cast<double>(record.response_bytes);
  ++counts_.statuses[{record.route, record.status}];
}

void RequestMetrics::count_answer(const RequestRecord& record) {
  RequestCounts& c = counts_;
  const int open = record.choices - record.stopped - record.cut;
  c.stopped += static_cast<std::uint64_t>(record.stopped);
  c.cut += static_cast<std::uint64_t>(record.cut);
  c.choices.observe(record.choices);
  if (open > 0) {
    (record.status == kStatusClientLeft ? c.aborted : c.failed) += static_cast<std::uint64_t>(open);
    return;
  }
  const auto longest = static_cast<double>(record.longest_answer);
  c.seconds.observe(seconds(record.ended - record.arrived));
  c.prompt_tokens.observe(static_cast<double>(record.prompt_tokens));
  c.completion_tokens.observe(static_cast<double>(record.completion_tokens));
  c.longest_answer.observe(longest);
  if (record.max_tokens > 0) c.max_tokens.observe(record.max_tokens);
  if (record.first_token == 0) return;  // a vector was made
  const base::Nanoseconds began = record.submitted + record.queued;
  const double decode = seconds(record.last_token - record.first_token);
  c.prefill_seconds.observe(seconds(record.first_token - began));
  c.decode_seconds.observe(decode);
  c.run_seconds.observe(seconds(record.last_token - began));
  if (longest > 1) c.mean_token_seconds.observe(decode / (longest - 1));
  const double run = seconds(record.last_token - record.arrived);
  if (run <= 0) return;
  const double rate = static_cast<double>(record.completion_tokens) / run;
  const double weight = c.tokens_per_second == 0 ? 1 : kAverageWeight;
  c.tokens_per_second += weight * (rate - c.tokens_per_second);
}

}  // namespace vsurge::api
