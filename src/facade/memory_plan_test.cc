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

TEST(MemoryPlan, LeavesWhatOthersHaveTaken) {
  PageDemand d = demand();
  d.other_bytes = 100 * kMiB;
  EXPECT_EQ(plan_pages(d).value(), 412);
}

TEST(MemoryPlan, SharesAreInProportionAndNeverMoreThanThereIs) {
  EXPECT_EQ(divide_bytes(900, std::vector{1.0, 2.0}), (std::vector<std::int64_t>{300, 600}));
  EXPECT_EQ(divide_bytes(7, std::vector{1.0, 1.0}), (std::vector<std::int64_t>{3, 3}));
  for (const std::int64_t bytes : std::vector<std::int64_t>{0, 1, (1LL << 50) + 3}) {
    for (const auto& weights : {std::vector{0.1, 0.1, 0.1}, std::vector{1e6, 1e-6, 3.0},
                                std::vector{1.0}, std::vector(100, 1.0 / 3)}) {
      std::int64_t sum = 0;
      for (const std::int64_t share : divide_bytes(bytes, weights)) {
        EXPECT_GE(share, 0);
        sum += share;
      }
      EXPECT_LE(sum, bytes);
      EXPECT_GE(sum, bytes - static_cast<std::int64_t>(weights.size()) - bytes / (1LL << 40));
    }
  }
}

TEST(MemoryPlan, AllTogetherGetWhatOneWouldGet) {
  KvDemand d{.allowed_bytes = 64LL << 30,
             .utilization = 0.5,
             .fixed_bytes = 4LL << 30,
             .step_bytes = 1LL << 30,
             .available_bytes = 40LL << 30};
  EXPECT_EQ(kv_bytes_of_all(d), kKvBytesDefault);
  d.context_bytes_max = 6LL << 30;
  EXPECT_EQ(kv_bytes_of_all(d), 6LL << 30);
  d.kv_bytes = 30LL << 30;
  EXPECT_EQ(kv_bytes_of_all(d), (28LL << 30) - 256 * kMiB);  // of the half that may be used
  d.available_bytes = 10LL << 30;
  EXPECT_EQ(kv_bytes_of_all(d), (9LL << 30) - 256 * kMiB);
  d.available_bytes = 0;
  EXPECT_EQ(kv_bytes_of_all(d), 0);
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
