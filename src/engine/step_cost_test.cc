#include "engine/step_cost.h"

#include <gtest/gtest.h>

namespace vsurge::engine {
namespace {

TEST(StepCost, LinearBetweenPowersAndBeyond) {
  StepCost cost;
  EXPECT_FALSE(cost.known());
  EXPECT_EQ(cost.predict_ns(5, 100), 0);
  cost.tokens_ns[0] = 100;
  EXPECT_DOUBLE_EQ(cost.predict_ns(3, 0), 300);
  cost.tokens_ns[1] = 110;
  cost.tokens_ns[2] = 150;
  cost.context_token_ns = 0.5;
  EXPECT_TRUE(cost.known());
  EXPECT_DOUBLE_EQ(cost.predict_ns(1, 0), 100);
  EXPECT_DOUBLE_EQ(cost.predict_ns(2, 0), 110);
  EXPECT_DOUBLE_EQ(cost.predict_ns(3, 0), 130);
  EXPECT_DOUBLE_EQ(cost.predict_ns(4, 0), 150);
  EXPECT_DOUBLE_EQ(cost.predict_ns(8, 0), 230);
  EXPECT_DOUBLE_EQ(cost.predict_ns(8, 100), 280);
  cost.correction = 2;
  EXPECT_DOUBLE_EQ(cost.predict_ns(8, 100), 560);
  EXPECT_EQ(cost.predict_ns(0, 100), 0);
}

}  // namespace
}  // namespace vsurge::engine
