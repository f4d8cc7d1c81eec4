#include "access/quota.h"

#include <gtest/gtest.h>

namespace vsurge::access {
namespace {

constexpr base::Nanoseconds kSecond = 1'000'000'000;

TEST(Quota, NoLimitsNoEnd) {
  Quota quota({}, 0);
  for (int i = 0; i < 10'000; ++i) EXPECT_FALSE(quota.begin(0));
  EXPECT_FALSE(quota.standing(Measure::kRequests, 0));
  EXPECT_FALSE(quota.standing(Measure::kTokens, 0));
}

TEST(Quota, RequestsComeBackSteadily) {
  Quota quota({.requests_per_minute = 60}, 0);
  for (int i = 0; i < 60; ++i) EXPECT_FALSE(quota.begin(0)) << i;
  const auto excess = quota.begin(0);
  ASSERT_TRUE(excess);
  EXPECT_EQ(excess->measure, Measure::kRequests);
  EXPECT_EQ(excess->limit, 60);
  EXPECT_EQ(excess->period, 60 * kSecond);
  EXPECT_EQ(excess->retry_after, kSecond);
  EXPECT_TRUE(quota.begin(kSecond - 1));
  EXPECT_FALSE(quota.begin(kSecond));
  EXPECT_TRUE(quota.begin(kSecond));
  EXPECT_EQ(quota.standing(Measure::kRequests, 31 * kSecond)->remaining, 30);
  EXPECT_EQ(quota.standing(Measure::kRequests, 31 * kSecond)->reset, 30 * kSecond);
  EXPECT_EQ(quota.standing(Measure::kRequests, 3600 * kSecond)->remaining, 60);
}

TEST(Quota, TheLongerWaitIsTold) {
  Quota quota({.requests_per_minute = 10, .requests_per_day = 10}, 0);
  for (int i = 0; i < 10; ++i) EXPECT_FALSE(quota.begin(0));
  EXPECT_EQ(quota.begin(0)->period, 86'400 * kSecond);
  EXPECT_EQ(quota.begin(0)->retry_after, 8'640 * kSecond);
}

TEST(Quota, TokensThatWereTooManyAreOwed) {
  Quota quota({.tokens_per_minute = 600}, 0);
  EXPECT_FALSE(quota.begin(0));
  EXPECT_FALSE(quota.begin(0));
  quota.end(500, 0);
  quota.end(700, 0);
  EXPECT_EQ(quota.standing(Measure::kTokens, 0)->remaining, 0);
  const auto excess = quota.begin(0);
  ASSERT_TRUE(excess);
  EXPECT_EQ(excess->measure, Measure::kTokens);
  EXPECT_EQ(excess->retry_after, 60 * kSecond + kSecond / 10);  // 600 owed, and one
  EXPECT_FALSE(quota.begin(excess->retry_after));
}

TEST(Quota, ConcurrentRequests) {
  Quota quota({.concurrent_requests = 2}, 0);
  EXPECT_FALSE(quota.begin(0));
  EXPECT_FALSE(quota.begin(0));
  EXPECT_EQ(quota.begin(0)->measure, Measure::kConcurrent);
  quota.end(5, 0);
  EXPECT_FALSE(quota.begin(0));
}

// A refused request uses nothing.
TEST(Quota, RefusalsAreFree) {
  Quota quota({.requests_per_minute = 60, .concurrent_requests = 1}, 0);
  EXPECT_FALSE(quota.begin(0));
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(quota.begin(0));
  EXPECT_EQ(quota.standing(Measure::kRequests, 0)->remaining, 59);
}

TEST(Quota, NewLimits) {
  Quota quota({.requests_per_minute = 2, .requests_per_day = 100}, 0);
  EXPECT_FALSE(quota.begin(0));
  EXPECT_FALSE(quota.begin(0));
  EXPECT_TRUE(quota.begin(0));
  quota.set_limits({.requests_per_minute = 3, .requests_per_day = 100}, 0);
  EXPECT_FALSE(quota.begin(0));
  quota.set_limits({.requests_per_day = 100}, 0);
  EXPECT_EQ(quota.standing(Measure::kRequests, 0)->remaining, 97);
}

}  // namespace
}  // namespace vsurge::access
