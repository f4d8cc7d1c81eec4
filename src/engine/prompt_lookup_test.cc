#include "engine/prompt_lookup.h"

#include <gtest/gtest.h>

namespace vsurge::engine {
namespace {

using Tokens = std::vector<TokenId>;

Tokens guess(const Tokens& history, int most) {
  Tokens out(static_cast<std::size_t>(most));
  out.resize(static_cast<std::size_t>(guess_next_tokens(history, out)));
  return out;
}

TEST(PromptLookup, WhatFollowedLastTime) {
  EXPECT_EQ(guess({1, 2, 3, 4, 5, 9, 1, 2, 3}, 2), (Tokens{4, 5}));
  EXPECT_EQ(guess({1, 2, 3, 4, 5, 9, 1, 2, 3}, 9), (Tokens{4, 5, 9, 1, 2, 3}));
  // The latest occurrence, and of three tokens rather than of two.
  EXPECT_EQ(guess({1, 2, 3, 4, 1, 2, 3, 5, 7, 2, 3, 6, 1, 2, 3}, 1), (Tokens{5}));
  EXPECT_EQ(guess({7, 2, 3, 6, 1, 2, 3}, 1), (Tokens{6}));
  EXPECT_EQ(guess({4, 4, 4}, 3), (Tokens{4}));
}

TEST(PromptLookup, NothingToGuess) {
  EXPECT_TRUE(guess({}, 4).empty());
  EXPECT_TRUE(guess({1, 1}, 4).empty());
  EXPECT_TRUE(guess({1, 2, 3, 4, 5}, 4).empty());
  EXPECT_TRUE(guess({1, 2, 3, 1, 2}, 0).empty());
}

Tokens predict(const Tokens& prediction, const Tokens& answer, int most) {
  Tokens out(static_cast<std::size_t>(most));
  out.resize(static_cast<std::size_t>(guess_from_prediction(prediction, answer, out)));
  return out;
}

TEST(PromptLookup, WhatThePredictionSays) {
  EXPECT_EQ(predict({1, 2, 3, 4}, {}, 2), (Tokens{1, 2}));
  EXPECT_EQ(predict({1, 2, 3, 4}, {1}, 9), (Tokens{2, 3, 4}));
  EXPECT_EQ(predict({1, 2, 3, 4}, {1, 2, 3}, 9), (Tokens{4}));
  // After an answer that went another way it goes on where that is found again.
  EXPECT_EQ(predict({1, 2, 3, 4, 5, 6}, {1, 9, 9, 3, 4}, 9), (Tokens{5, 6}));
  // Of equal places the nearest; three tokens before two.
  EXPECT_EQ(predict({7, 8, 1, 0, 7, 8, 2}, {7, 8}, 1), (Tokens{1}));
  EXPECT_EQ(predict({7, 8, 1, 0, 7, 8, 2}, {5, 5, 5, 5, 7, 8}, 1), (Tokens{2}));
  EXPECT_EQ(predict({5, 7, 8, 1, 0, 0, 7, 8, 2}, {4, 3, 2, 1, 0, 5, 7, 8}, 1), (Tokens{1}));
}

TEST(PromptLookup, NothingPredicted) {
  EXPECT_TRUE(predict({}, {}, 4).empty());
  EXPECT_TRUE(predict({}, {1, 2}, 4).empty());
  EXPECT_TRUE(predict({1, 2, 3}, {9, 9}, 4).empty());
  EXPECT_TRUE(predict({1, 2, 3}, {9, 3}, 4).empty());
  EXPECT_TRUE(predict({1, 2, 3}, {1, 2, 3}, 4).empty());
  EXPECT_TRUE(predict({1, 2, 3}, {1, 2}, 0).empty());
}

}  // namespace
}  // namespace vsurge::engine
