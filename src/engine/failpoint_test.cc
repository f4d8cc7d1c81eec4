#include "engine/failpoint.h"

#include <gtest/gtest.h>

#include <stdexcept>

namespace vsurge::engine {
namespace {

struct CountingRunner final : StepRunner {
  void run(const StepPlan& /*plan*/, StepResult& /*result*/) override { ++runs; }
  int runs = 0;
};

TEST(Failpoint, Texts) {
  const auto point = parse_failpoint("nan@120");
  ASSERT_TRUE(point);
  EXPECT_EQ(point->failure, Failure::kNotFinite);
  EXPECT_EQ(point->step, 120U);
  EXPECT_EQ(point->engine, "");
  const auto named = parse_failpoint("a:b@2:hang@7");
  ASSERT_TRUE(named);
  EXPECT_EQ(named->failure, Failure::kHang);
  EXPECT_EQ(named->step, 7U);
  EXPECT_EQ(named->engine, "a:b@2");
  EXPECT_FALSE(parse_failpoint("a:hang@load")->step);
  for (const char* bad : {"", "nan", "nan@", "nan@x", "nan@1x", "@1", "oom@1", "nan@-1", ":nan@1",
                          "a:", ":hang@load", "nan@load", "a:oom@1", "a:nan"}) {
    EXPECT_EQ(parse_failpoint(bad).error().code, base::ErrorCode::kUsage) << bad;
  }
}

TEST(Failpoint, FailsAtItsStepAlone) {
  StepPlan plan;
  plan.rows.resize(2);
  CountingRunner inner;
  FailingRunner throws(inner, {Failure::kThrow, 1, ""});
  FailingRunner spoils(inner, {Failure::kNotFinite, 1, ""});
  for (int step = 0; step < 3; ++step) {
    StepResult result;
    result.reset(plan);
    spoils.run(plan, result);
    EXPECT_EQ(result.rows[0].status == kernels::SampleStatus::kNotFinite, step == 1);
    EXPECT_EQ(result.rows[1].status, kernels::SampleStatus::kOk);
    if (step == 1) {
      EXPECT_THROW(throws.run(plan, result), std::runtime_error);
    } else {
      throws.run(plan, result);
    }
  }
  EXPECT_EQ(inner.runs, 5);
}

}  // namespace
}  // namespace vsurge::engine
