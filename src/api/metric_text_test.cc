#include "api/metric_text.h"

#include <gtest/gtest.h>

#include <array>

namespace vsurge::api {
namespace {

TEST(MetricText, WritesSamples) {
  MetricText text;
  text.metric("a:b_total", MetricKind::kCounter, "What it is.");
  text.sample({}, 3);
  text.sample({{"model", "m"}, {"engine", "0"}}, 0.25);
  text.metric("g", MetricKind::kGauge, "Another.");
  text.sample({}, 1e300);
  text.summary({{"x", "y"}}, 2, 7.5);
  EXPECT_EQ(text.take(),
            "# HELP a:b_total What it is.\n"
            "# TYPE a:b_total counter\n"
            "a:b_total 3.0\n"
            "a:b_total{model=\"m\",engine=\"0\"} 0.25\n"
            "# HELP g Another.\n"
            "# TYPE g gauge\n"
            "g 1e+300\n"
            "g_count{x=\"y\"} 2.0\n"
            "g_sum{x=\"y\"} 7.5\n");
}

TEST(MetricText, BucketsAreCumulative) {
  static constexpr std::array kBounds = {0.5, 1.0, 20.0};
  engine::Histogram values(kBounds);
  values.observe(0.5);
  values.observe(0.75, 2);
  values.observe(100);
  MetricText text;
  text.metric("h", MetricKind::kHistogram, "H.");
  text.histogram({{"m", "x"}}, values);
  EXPECT_EQ(text.take(),
            "# HELP h H.\n# TYPE h histogram\n"
            "h_bucket{m=\"x\",le=\"0.5\"} 1.0\n"
            "h_bucket{m=\"x\",le=\"1.0\"} 3.0\n"
            "h_bucket{m=\"x\",le=\"20.0\"} 3.0\n"
            "h_bucket{m=\"x\",le=\"+Inf\"} 4.0\n"
            "h_sum{m=\"x\"} 102.0\n"
            "h_count{m=\"x\"} 4.0\n");
  text.histogram({}, values, 1);
  EXPECT_EQ(text.take(),
            "h_bucket{le=\"0.5\"} 1.0\nh_bucket{le=\"1.0\"} 3.0\nh_bucket{le=\"+Inf\"} 4.0\n"
            "h_sum 102.0\nh_count 4.0\n");
}

TEST(MetricText, EscapesLabels) {
  std::string out;
  append_label_value(out, "a\"b\\c\nd\xC3\xA4\xFF");
  EXPECT_EQ(out, "a\\\"b\\\\c\\nd\xC3\xA4\xEF\xBF\xBD");
}

}  // namespace
}  // namespace vsurge::api
