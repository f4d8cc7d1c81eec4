#include "facade/memory_plan.h"

#include <gtest/gtest.h>

namespace vsurge::facade {
namespace {

constexpr std::int64_t kMiB = 1024 * 1024;

PageDemand demand() {
  return {.allowed_bytes = 1024 * kMiB,
          .utilization = 1.0,
          .weight_bytes = 256 * kMiB,
          .step_bytes = 0,
          .page_bytes = kMiB,
          .page_size = 16,
          .context_max = 1600,
          .sequences_max = 64,
          .available_bytes = 1 << 30};
}

TEST(MemoryPlan, TakesWhatIsLeft) {
  EXPECT_EQ(plan_pages(demand()).value(), 512);  // 1024 - 256 - a margin of 256 MiB
}

TEST(MemoryPlan, TakesNoMoreThanIsOfUse) {
  PageDemand d = demand();
  d.sequences_max = 2;
  EXPECT_EQ(plan_pages(d).value(), 200);
}

TEST(MemoryPlan, TakesWhatIsAskedFor) {
  PageDemand d = demand();
  d.kv_bytes = 150 * kMiB;
  EXPECT_EQ(plan_pages(d).value(), 150);
  d.kv_bytes = 99 * kMiB;
  const auto pages = plan_pages(d);
  ASSERT_FALSE(pages);
  EXPECT_EQ(pages.error().code, base::ErrorCode::kUsage);
  EXPECT_NE(pages.error().message.find("kv_cache_memory_bytes"), std::string::npos);
}

TEST(MemoryPlan, TakesNoMoreThanTheDefaultOrOneContextUnlessAsked) {
  PageDemand d = demand();
  d.allowed_bytes = d.available_bytes = 100'000 * kMiB;
  d.context_max = 16'000;
  EXPECT_EQ(plan_pages(d).value(), 4096);
  d.context_max = 160'000;
  EXPECT_EQ(plan_pages(d).value(), 10'000);
  d.kv_bytes = 20'000 * kMiB;
  EXPECT_EQ(plan_pages(d).value(), 20'000);
}

TEST(MemoryPlan, LeavesWhatOthersUse) {
  PageDemand d = demand();
  d.available_bytes = 400 * kMiB;
  EXPECT_EQ(plan_pages(d).value(), 144);
}

TEST(MemoryPlan, RefusesWhatCannotHoldOneContext) {
  PageDemand d = demand();
  d.utilization = 0.5;
  const auto pages = plan_pages(d);
  ASSERT_FALSE(pages);
  EXPECT_EQ(pages.error().code, base::ErrorCode::kEnvironment);
  EXPECT_NE(pages.error().message.find("1600 tokens needs 100 MiB"), std::string::npos);
}

}  // namespace
}  // namespace vsurge::facade
