#include "bench_report.h"

#include <gtest/gtest.h>

#include <string>

namespace vsurge::apps {
namespace {

BenchReport example() {
  BenchReport report{.model = "a<b>&\"c",
                     .weights = "int8",
                     .isa = "avx512",
                     .threads = 2,
                     .weight_bytes = std::int64_t{3} << 20,
                     .roofs = {.fma_f32 = 100, .vpdpbusd = 400},
                     .rows = {}};
  report.rows.push_back({.kind = BenchKind::kDecode,
                         .streams = 4,
                         .tokens = 16,
                         .median = 200,
                         .least = 150,
                         .most = 250,
                         .read_gb_s = 30,
                         .limit = 400});
  report.rows.push_back({.kind = BenchKind::kPrefill, .tokens = 512, .median = 1024});
  return report;
}

int count(const std::string& text, const std::string& part) {
  int found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
    ++found;
  }
  return found;
}

TEST(BenchReport, StepAndFirstTokenTakeMilliseconds) {
  const BenchReport report = example();
  EXPECT_DOUBLE_EQ(report.rows[0].milliseconds(), 20);   // four tokens a step
  EXPECT_DOUBLE_EQ(report.rows[1].milliseconds(), 500);  // 512 tokens before the first
}

TEST(BenchReport, TableShowsTheShareOfTheLimit) {
  const std::string table = table_of(example());
  EXPECT_NE(table.find("150.0 - 250.0"), std::string::npos) << table;
  EXPECT_NE(table.find("400.0   0.50\n"), std::string::npos) << table;
  EXPECT_NE(table.find("         -      -\n"), std::string::npos) << table;  // no limit known
  EXPECT_NE(table.find("fp32 FMA 100, vpdpbusd 400\n"), std::string::npos) << table;
}

TEST(BenchReport, JsonHasEveryRowAndNullForNoLimit) {
  const std::string json = json_of(example());
  EXPECT_NE(json.find(R"("model":"a<b>&\"c")"), std::string::npos) << json;
  EXPECT_EQ(count(json, "\"kind\":"), 2);
  EXPECT_EQ(count(json, "\"limit\":400.000}"), 1);
  EXPECT_EQ(count(json, "\"limit\":null}"), 1);
  EXPECT_EQ(count(json, "{"), count(json, "}"));
}

TEST(BenchReport, PictureHasAPanelForEachKindAndEscapesNames) {
  const std::string svg = svg_of(example());
  EXPECT_EQ(count(svg, "<polyline"), 3);  // decode with its limit, prefill without
  EXPECT_EQ(count(svg, "stroke-dasharray"), 1);
  EXPECT_NE(svg.find("a&lt;b&gt;&amp;"), std::string::npos) << svg;
  EXPECT_EQ(svg.find("nan"), std::string::npos);
  EXPECT_EQ(svg.find("inf"), std::string::npos);
}

}  // namespace
}  // namespace vsurge::apps
