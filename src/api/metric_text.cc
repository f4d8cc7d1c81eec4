#include "api/metric_text.h"

#include <fmt/format.h>

#include <cmath>
#include <iterator>

#include "base/escape.h"

namespace vsurge::api {
namespace {

std::string_view name_of(MetricKind kind) {
  switch (kind) {
    case MetricKind::kCounter:
      return "counter";
    case MetricKind::kGauge:
      return "gauge";
    case MetricKind::kHistogram:
      return "histogram";
    case MetricKind::kSummary:
      return "summary";
  }
  return "untyped";
}

// Shortest digits that give the same number again. Whole numbers as Python's client writes them,
// "1.0": the label `le` is compared as text.
void append_number(std::string& out, double value) {
  if (std::isinf(value)) {
    out += value > 0 ? "+Inf" : "-Inf";
  } else if (std::isnan(value)) {
    out += "NaN";
  } else if (value == std::floor(value) && std::abs(value) < 1e15) {
    fmt::format_to(std::back_inserter(out), "{:.1f}", value);
  } else {
    fmt::format_to(std::back_inserter(out), "{}", value);
  }
}

}  // namespace

void append_label_value(std::string& out, std::string_view text) {
  while (!text.empty()) {
    const std::size_t size = base::utf8_length(text);
    if (size == 0) {
      out += "\xEF\xBF\xBD";  // U+FFFD
    } else if (text.front() == '\n') {
      out += "\\n";
    } else if (text.front() == '"' || text.front() == '\\') {
      out += '\\';
      out += text.front();
    } else {
      out += text.substr(0, size);
    }
    text.remove_prefix(size == 0 ? 1 : size);
  }
}

void MetricText::metric(std::string_view name, MetricKind kind, std::string_view help) {
  name_ = name;
  fmt::format_to(std::back_inserter(text_), "# HELP {} {}\n# TYPE {} {}\n", name, help, name,
                 name_of(kind));
}

void MetricText::line(std::string_view suffix, const MetricLabels& labels, std::string_view bound,
                      double value) {
  text_ += name_;
  text_ += suffix;
  char separator = '{';
  const auto label = [&](std::string_view name, std::string_view text) {
    text_ += std::exchange(separator, ',');
    text_ += name;
    text_ += "=\"";
    append_label_value(text_, text);
    text_ += '"';
  };
  for (const auto& [name, text] : labels) label(name, text);
  if (!bound.empty()) label("le", bound);
  if (separator == ',') text_ += '}';
  text_ += ' ';
  append_number(text_, value);
  text_ += '\n';
}

void MetricText::sample(const MetricLabels& labels, double value) {
  line("", labels, "", value);
}

void MetricText::histogram(const MetricLabels& labels, const engine::Histogram& values,
                           double bound_max) {
  const auto bounds = values.bounds();
  std::uint64_t below = 0;
  for (std::size_t i = 0; i < bounds.size() && bounds[i] <= bound_max; ++i) {
    below += values.in_bucket(i);
    std::string bound;
    append_number(bound, bounds[i]);
    line("_bucket", labels, bound, static_cast<double>(below));
  }
  line("_bucket", labels, "+Inf", static_cast<double>(values.count()));
  line("_sum", labels, "", values.sum());
  line("_count", labels, "", static_cast<double>(values.count()));
}

void MetricText::summary(const MetricLabels& labels, std::uint64_t count, double sum) {
  line("_count", labels, "", static_cast<double>(count));
  line("_sum", labels, "", sum);
}

}  // namespace vsurge::api
