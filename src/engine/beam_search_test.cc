// The search alone, on rows written by hand.
#include "engine/beam_search.h"

#include <gtest/gtest.h>

namespace vsurge::engine {
namespace {

using Next = std::vector<kernels::TopLogprob>;
constexpr TokenId kEnd = 0;
constexpr std::array<TokenId, 1> kEos = {kEnd};

SamplingParams sampling(int width, BeamStop stop = BeamStop::kWhenUnlikely, float penalty = 1) {
  SamplingParams s;
  s.beam = {width, penalty, stop};
  return s;
}

std::vector<TokenId> tokens_of(std::span<const BeamPick> picks) {
  std::vector<TokenId> tokens;
  for (const BeamPick& pick : picks) tokens.push_back(pick.token);
  return tokens;
}

std::vector<int> parents_of(std::span<const BeamPick> picks) {
  std::vector<int> parents;
  for (const BeamPick& pick : picks) parents.push_back(pick.parent);
  return parents;
}

struct Bench {
  explicit Bench(const SamplingParams& s, int answer_max = 10) : beams(s, kEos, answer_max) {
    beams.reserve();
  }
  void select(const std::vector<std::pair<double, Next>>& rows, int answer) {
    std::vector<LiveBeam> live;
    for (const auto& [score, next] : rows) live.push_back({score, next});
    beams.select(live, answer);
    for (const BeamPick& ending : beams.endings()) {
      if (Hypothesis* one = beams.enter(ending)) one->answer.assign(1, ending.token);
    }
  }
  std::vector<double> worths() const {
    std::vector<double> worths;
    for (const Hypothesis& one : beams.finished()) worths.push_back(one.worth);
    return worths;
  }
  Beams beams;
};

using Tokens = std::vector<TokenId>;
using Parents = std::vector<int>;

TEST(Beams, TheLikeliestGoOnWhoeverTheirParentIs) {
  Bench bench(sampling(3));
  EXPECT_EQ(bench.beams.candidates(), 4);
  bench.select({{-1, {{5, -1}, {6, -2}, {7, -5}, {8, -6}}},
                {-1.5, {{9, -0.1F}, {5, -0.2F}, {6, -3}, {7, -4}}},
                {-9, {{1, -0.1F}, {2, -3}, {3, -4}, {4, -5}}}},
               2);
  EXPECT_EQ(tokens_of(bench.beams.children()), (Tokens{9, 5, 5}));
  EXPECT_EQ(parents_of(bench.beams.children()), (Parents{1, 1, 0}));
  EXPECT_TRUE(bench.beams.endings().empty());
  EXPECT_FALSE(bench.beams.over());
}

TEST(Beams, OfEqualScoresTheLikelierParentThenItsOwnOrder) {
  Bench bench(sampling(3));
  bench.select(
      {{-1, {{8, -1}, {9, -1}, {3, -2}, {4, -2}}}, {-1, {{1, -1}, {2, -1}, {3, -1}, {4, -1}}}}, 2);
  EXPECT_EQ(tokens_of(bench.beams.children()), (Tokens{8, 9, 1}));
  EXPECT_EQ(parents_of(bench.beams.children()), (Parents{0, 0, 1}));
}

// An end counts among the `width` likeliest, but takes nobody's place.
TEST(Beams, OnlyAnEndAmongTheLikeliestIsAnAnswer) {
  Bench bench(sampling(2));
  bench.select({{0, {{kEnd, -1}, {4, -2}, {5, -3}}}}, 1);
  EXPECT_EQ(tokens_of(bench.beams.children()), (Tokens{4, 5}));
  ASSERT_EQ(bench.beams.endings().size(), 1U);
  EXPECT_TRUE(bench.beams.endings()[0].stops);
  bench.select(
      {{-2, {{4, -0.5F}, {5, -0.7F}, {kEnd, -0.8F}}}, {-3, {{7, -0.1F}, {8, -9}, {9, -9}}}}, 2);
  EXPECT_EQ(tokens_of(bench.beams.children()), (Tokens{4, 5}));
  EXPECT_TRUE(bench.beams.endings().empty());
  EXPECT_EQ(bench.beams.finished().size(), 1U);
}

TEST(Beams, BeforeMinTokensAnEndIsPassedOver) {
  SamplingParams s = sampling(2);
  s.min_tokens = 1;
  Bench bench(s);
  bench.select({{0, {{kEnd, -1}, {4, -2}, {5, -3}}}}, 1);
  EXPECT_TRUE(bench.beams.endings().empty());
  bench.select({{-2, {{kEnd, -1}, {4, -2}, {5, -3}}}, {-3, {{4, -8}, {5, -8}, {6, -8}}}}, 2);
  EXPECT_EQ(bench.beams.endings().size(), 1U);
}

TEST(Beams, AtMaxTokensTheLikeliestAreAnswers) {
  Bench bench(sampling(2), 2);
  bench.select({{-1, {{4, -1}, {kEnd, -1.5F}, {5, -2}}}, {-3, {{4, -8}, {5, -8}, {6, -8}}}}, 2);
  EXPECT_TRUE(bench.beams.children().empty());
  ASSERT_EQ(bench.beams.finished().size(), 2U);
  EXPECT_EQ(bench.beams.finished()[0].stop_token, -1);
  EXPECT_EQ(bench.beams.finished()[1].stop_token, kEnd);
  EXPECT_EQ(bench.worths(), (std::vector{-1.0, -1.25}));  // two tokens each
  EXPECT_TRUE(bench.beams.over());
}

TEST(Beams, TheBestOfAllEndsAreKept) {
  Bench bench(sampling(2, BeamStop::kNever));
  bench.select({{0, {{kEnd, -2}, {4, -2.5F}, {5, -3}}}}, 1);
  bench.select({{-2.5, {{4, -0.1F}, {kEnd, -0.5F}, {5, -3}}}, {-3, {{7, -3}, {8, -9}, {9, -9}}}},
               2);
  EXPECT_EQ(bench.worths(), (std::vector{-1.5, -2.0}));
  bench.select({{-2.6, {{kEnd, -0.1F}, {4, -0.2F}, {5, -3}}}, {-6, {{7, -3}, {8, -9}, {9, -9}}}},
               3);
  ASSERT_EQ(bench.worths().size(), 2U);
  EXPECT_NEAR(bench.worths()[0], -0.9, 1e-6);
  EXPECT_EQ(bench.worths()[1], -1.5);
  // One of less worth than both finds no place.
  EXPECT_EQ(bench.beams.enter({.score = -30}), nullptr);
}

// Two answers are there, of worth -1 and -1.5; what goes on has -4 after two tokens.
bool over_after_two(BeamStop stop, float penalty, double score) {
  Bench bench(sampling(2, stop, penalty), 10);
  bench.select({{0, {{kEnd, -1}, {4, -1.5F}, {5, -3}}}}, 1);
  bench.select({{score, {{4, 0}, {kEnd, 0}, {5, -9}}}, {-50, {{7, -9}, {8, -9}, {9, -9}}}}, 2);
  EXPECT_EQ(bench.beams.finished().size(), 2U);
  return bench.beams.over();
}

TEST(Beams, WhenToStop) {
  // It is as good as the worst answer: as long as it is, no better.
  EXPECT_TRUE(over_after_two(BeamStop::kWhenFull, 1, -4));
  EXPECT_TRUE(over_after_two(BeamStop::kWhenUnlikely, 1, -4));
  // Ten tokens long it could still be of worth -0.4.
  EXPECT_FALSE(over_after_two(BeamStop::kNever, 1, -4));
  // Nothing is won by length.
  EXPECT_TRUE(over_after_two(BeamStop::kNever, 0, -4));
  EXPECT_TRUE(over_after_two(BeamStop::kNever, -1, -4));
}

TEST(Beams, EndTokensCountOnce) {
  SamplingParams s = sampling(3);
  s.stop_token_ids = {kEnd, 7, 7};
  EXPECT_EQ(Beams(s, kEos, 4).candidates(), 5);
  s.ignore_eos = true;
  EXPECT_EQ(Beams(s, kEos, 4).candidates(), 5);
  s.stop_token_ids = {7};
  EXPECT_EQ(Beams(s, kEos, 4).candidates(), 4);
}

}  // namespace
}  // namespace vsurge::engine
