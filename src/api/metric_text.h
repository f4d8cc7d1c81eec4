// MetricText: writes metrics in Prometheus's text format, version 0.0.4.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/metrics.h"

namespace vsurge::api {

// Names are ours and so are those of labels; values of labels may be anything.
using MetricLabels = std::vector<std::pair<std::string_view, std::string_view>>;

enum class MetricKind : std::uint8_t { kCounter, kGauge, kHistogram, kSummary };

class MetricText {
 public:
  // Begins a metric; its samples follow. `help` is one line.
  void metric(std::string_view name, MetricKind kind, std::string_view help);
  void sample(const MetricLabels& labels, double value);
  // Only the bounds up to bound_max; no value is greater where it is given.
  void histogram(const MetricLabels& labels, const engine::Histogram& values,
                 double bound_max = std::numeric_limits<double>::infinity());
  // Without quantiles.
  void summary(const MetricLabels& labels, std::uint64_t count, double sum);

  std::string take() { return std::exchange(text_, {}); }

 private:
  void line(std::string_view suffix, const MetricLabels& labels, std::string_view bound,
            double value);

  std::string text_;
  std::string_view name_;
};

// For between the quotes of a label: one line of valid UTF-8.
void append_label_value(std::string& out, std::string_view text);

}  // namespace vsurge::api
