#include "base/clock.h"

#include <gtest/gtest.h>

namespace vsurge::base {
namespace {

TEST(Clock, ManualClockMovesOnlyWhenTold) {
  ManualClock clock;
  const Clock& as_clock = clock;
  EXPECT_EQ(as_clock.now(), 0);
  clock.advance(5);
  clock.advance(7);
  EXPECT_EQ(as_clock.now(), 12);
}

TEST(Clock, SteadyClockNeverGoesBack) {
  const SteadyClock clock;
  Nanoseconds before = clock.now();
  for (int i = 0; i < 1000; ++i) {
    const Nanoseconds now = clock.now();
    ASSERT_GE(now, before);
    before = now;
  }
}

TEST(Clock, UnixSecondsAreThisCentury) {
  EXPECT_GT(unix_seconds(), 1'700'000'000);
  EXPECT_LT(unix_seconds(), 4'102'444'800);
}

}  // namespace
}  // namespace vsurge::base
