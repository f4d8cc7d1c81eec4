#include "engine/step_cost.h"

#include <gtest/gtest.h>

namespace vsurge::engine {
namespace {

TEST(StepCost, LinearBetweenPowersAndBeyond) {
  StepCost cost;
  EXPECT_FALSE(cost.known());
  EXPECT_EQ(cost.predict_ns({.tokens = 5, .decode_keys = 100}), 0);
  cost.tokens_ns[0] = 100;
  EXPECT_DOUBLE_EQ(cost.predict_ns({.tokens = 3, .decode_keys = 0}), 300);
  cost.tokens_ns[1] = 110;
  cost.tokens_ns[2] = 150;
  cost.decode_key_ns = 0.5;
  EXPECT_TRUE(cost.known());
  EXPECT_DOUBLE_EQ(cost.predict_ns({.tokens = 1, .decode_keys = 0}), 100);
  EXPECT_DOUBLE_EQ(cost.predict_ns({.tokens = 2, .decode_keys = 0}), 110);
  EXPECT_DOUBLE_EQ(cost.predict_ns({.tokens = 3, .decode_keys = 0}), 130);
  EXPECT_DOUBLE_EQ(cost.predict_ns({.tokens = 4, .decode_keys = 0}), 150);
  EXPECT_DOUBLE_EQ(cost.predict_ns({.tokens = 8, .decode_keys = 0}), 230);
  EXPECT_DOUBLE_EQ(cost.predict_ns({.tokens = 8, .decode_keys = 100}), 280);
  cost.correction = 2;
  EXPECT_DOUBLE_EQ(cost.predict_ns({.tokens = 8, .decode_keys = 100}), 560);
  EXPECT_EQ(cost.predict_ns({.tokens = 0, .decode_keys = 100}), 0);
  cost.row_ns = 10;
  cost.prompt_key_ns = 0.1;
  EXPECT_DOUBLE_EQ(cost.predict_ns({.tokens = 4, .rows = 4, .prompt_keys = 100}), 380);
}

}  // namespace
}  // namespace vsurge::engine
