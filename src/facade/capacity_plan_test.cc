#include "vsurge/capacity_plan.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace vsurge {
namespace {

// A tiny checkpoint on a machine that does not exist: headers are enough.
class CapacityPlanTest : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(folder());
    write("machine.json", R"({"memory_gb": 4, "read_gb_s": 1, "gop_s": 0.2})");
    std::string trace;
    for (int i = 0; i < 300; ++i) {
      trace += R"({"timestamp": )" + std::to_string(i * 10) +
               R"(, "input_length": 90, "output_length": 20})" + "\n";
    }
    write("trace.jsonl", trace);
    options_.trace = path("trace.jsonl");
    options_.replicas = {1, 4, 16};
    options_.ttft_ms = 400;
  }
  void TearDown() override { std::filesystem::remove_all(folder()); }

  // Tests run side by side, each in a process of its own.
  std::string folder() const { return testing::TempDir() + "plan_" + std::to_string(::getpid()); }
  std::string path(const std::string& name) const { return folder() + "/" + name; }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(path(name), std::ios::binary) << text;
  }
  CapacityPlan plan() const {
    const std::string model = VSURGE_SOURCE_DIR "/tests/golden/llama";
    return plan_capacity(model, path("machine.json"), pretrained_, surge_, options_);
  }
  std::string fault() const {
    try {
      plan();
    } catch (const Error& error) {
      EXPECT_NE(error.kind(), ErrorKind::kInternal);
      return error.what();
    }
    return "no error";
  }

  PretrainedOptions pretrained_;
  SurgeOptions surge_;
  CapacityOptions options_;
};

TEST_F(CapacityPlanTest, FindsTheFewest) {
  const CapacityPlan made = plan();
  ASSERT_GE(made.rows.size(), 3U);
  EXPECT_LT(made.rows.front().attained, 0.99);
  ASSERT_GT(made.replicas_needed, 1);
  ASSERT_LE(made.replicas_needed, 16);
  for (const CapacityRow& row : made.rows) {
    EXPECT_EQ(row.finished + row.refused + row.too_long, 300);
    EXPECT_EQ(row.attained >= 0.99, row.replicas >= made.replicas_needed) << row.replicas;
    EXPECT_GE(row.ttft.p99, row.ttft.p50);
  }
  const CapacityPlan again = plan();
  ASSERT_EQ(again.rows.size(), made.rows.size());
  for (std::size_t i = 0; i < made.rows.size(); ++i) {
    EXPECT_EQ(again.rows[i].ttft.p99, made.rows[i].ttft.p99);
    EXPECT_EQ(again.rows[i].duration_s, made.rows[i].duration_s);
  }
}

TEST_F(CapacityPlanTest, ObeysItsOptions) {
  options_.replicas = {2};
  options_.requests_max = 50;
  EXPECT_EQ(plan().rows.at(0).requests, 50);
  const double slow = plan().rows.at(0).ttft.p50;
  options_.rate = 1;
  EXPECT_LT(plan().rows.at(0).ttft.p50, slow);
  surge_.max_length = 100;
  EXPECT_EQ(plan().rows.at(0).too_long, 50);
  EXPECT_EQ(plan().replicas_needed, 0);
  options_.clip_long = true;
  EXPECT_EQ(plan().rows.at(0).finished, 50);
}

TEST_F(CapacityPlanTest, NamesWhatIsWrong) {
  options_.attain = 1.5;
  EXPECT_NE(fault().find("attain"), std::string::npos);
  options_.attain = 0.9;
  options_.replicas = {0};
  EXPECT_NE(fault().find("replicas"), std::string::npos);
  options_.replicas = {1};
  options_.rate = -1;
  EXPECT_NE(fault().find("rate"), std::string::npos);
  options_.rate = 1e-300;
  EXPECT_NE(fault().find("rate"), std::string::npos);
  options_.rate = 0;
  options_.trace = path("nothing");
  EXPECT_NE(fault().find("nothing"), std::string::npos);
  options_.trace = path("machine.json");
  EXPECT_NE(fault().find("machine.json:1"), std::string::npos);
  write("machine.json", "{}");
  EXPECT_NE(fault().find("read_gb_s"), std::string::npos);
}

}  // namespace
}  // namespace vsurge
