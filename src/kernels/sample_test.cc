#include "kernels/kernels.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include "kernels/test_distribution.h"

namespace vsurge::kernels {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

SampleRow greedy() {
  return {0.0F, 1.0F, 0.0F, 0, 1, 0, nullptr};
}
SampleRow drawing(float temperature) {
  return {temperature, 1.0F, 0.0F, 0, 1, 0, nullptr};
}

std::vector<IsaLevel> levels() {
  std::vector<IsaLevel> result;
  for (const IsaLevel level : kIsaLevels) {
    if (supported(level)) result.push_back(level);
  }
  return result;
}

// Guards stand around the scratch and the logits.
SampleResult sample(const std::vector<float>& logits, const SampleRow& row,
                    IsaLevel level = best_level()) {
  const std::size_t n = logits.size();
  std::vector<float> values(n + 2, 77.0F);
  std::copy(logits.begin(), logits.end(), values.begin() + 1);
  std::vector<std::uint64_t> scratch(sample_scratch(static_cast<int32_t>(n)) + 2, 0xabcdef);
  const auto result =
      table(level).sample(values.data() + 1, static_cast<int32_t>(n), row, scratch.data() + 1);
  EXPECT_EQ(values.front(), 77.0F);
  EXPECT_EQ(values.back(), 77.0F);
  EXPECT_EQ(scratch.front(), 0xabcdefU);
  EXPECT_EQ(scratch.back(), 0xabcdefU);
  return result;
}

std::vector<float> random_logits(std::size_t n, std::uint64_t seed, float spread) {
  std::mt19937_64 random(seed);
  std::normal_distribution<float> normal(0.0F, spread);
  std::vector<float> logits(n);
  for (float& logit : logits) logit = normal(random);
  return logits;
}

// The definition, slowly and in double.
std::vector<double> reference(const std::vector<float>& logits, const SampleRow& row) {
  const std::size_t n = logits.size();
  std::vector<std::size_t> order(n);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(),
            [&](auto a, auto b) { return logits[a] != logits[b] ? logits[a] > logits[b] : a < b; });
  std::erase_if(order, [&](std::size_t i) {
    return row.allowed_tokens != nullptr && ((row.allowed_tokens[i / 32] >> (i % 32)) & 1U) == 0;
  });
  if (row.top_k > 0 && order.size() > static_cast<std::size_t>(row.top_k)) {
    order.resize(static_cast<std::size_t>(row.top_k));
  }
  const auto weight = [&](std::size_t i) {
    return std::exp((static_cast<double>(logits[i]) - static_cast<double>(logits[order[0]])) /
                    static_cast<double>(row.temperature));
  };
  double total = 0;
  for (const auto i : order) total += weight(i);
  std::size_t kept = 0;
  for (double mass = 0; kept < order.size();) {
    mass += weight(order[kept++]);
    if (mass >= static_cast<double>(row.top_p) * total) break;
  }
  order.resize(kept);
  std::erase_if(order, [&](std::size_t i) { return weight(i) < static_cast<double>(row.min_p); });
  total = 0;
  for (const auto i : order) total += weight(i);
  std::vector<double> result(n, 0.0);
  for (const auto i : order) result[i] = weight(i) / total;
  return result;
}

// Draws against the reference.
void expect_draws(const std::vector<float>& logits, SampleRow row, int draws) {
  const auto expected = reference(logits, row);
  std::vector<int> seen(logits.size(), 0);
  for (int i = 0; i < draws; ++i) {
    row.position = static_cast<std::uint64_t>(i);
    const auto result = sample(logits, row);
    ASSERT_EQ(result.status, SampleStatus::kOk);
    ASSERT_GE(result.token, 0);
    ++seen[static_cast<std::size_t>(result.token)];
  }
  expect_distribution(expected, seen, draws);
}

TEST(Sample, PhiloxKnownAnswers) {
  // First two words of the known answers published with Random123 (philox4x32-10).
  EXPECT_EQ(random_bits(0, 0), 0xe169c58d6627e8d5ULL);
  // The key and the counter are not interchangeable, and all bits of both count.
  EXPECT_NE(random_bits(1, 0), random_bits(0, 1));
  EXPECT_NE(random_bits(1ULL << 40, 0), random_bits(0, 0));
  EXPECT_NE(random_bits(0, 1ULL << 40), random_bits(0, 0));
}

TEST(Sample, GreedyTakesLowestIdAmongEquals) {
  for (const std::size_t n : {1U, 2U, 5U, 63U, 64U, 255U, 256U, 257U, 1000U, 4096U, 5001U}) {
    std::vector<float> logits(n, -1.0F);
    for (const std::size_t at : {n - 1, n / 2, n / 3}) {
      logits[at] = 3.0F;
      EXPECT_EQ(sample(logits, greedy()).token, static_cast<int32_t>(at)) << n;
    }
  }
  // Zeros of both signs are equal.
  EXPECT_EQ(sample({-1.0F, -0.0F, 0.0F}, greedy()).token, 1);
}

TEST(Sample, OneTokenLeftIsTaken) {
  const auto logits = random_logits(3000, 3, 2.0F);
  const auto best = sample(logits, greedy()).token;
  auto row = drawing(1.0F);
  row.top_k = 1;
  EXPECT_EQ(sample(logits, row).token, best);
  row.top_k = 0;
  row.top_p = 1e-30F;
  EXPECT_EQ(sample(logits, row).token, best);
  row.top_p = 1.0F;
  row.min_p = 1.0F;
  EXPECT_EQ(sample(logits, row).token, best);
  EXPECT_EQ(sample(logits, drawing(2e-5F)).token, best);
}

TEST(Sample, NotFinite) {
  const float bad[] = {kInfinity, -kInfinity, std::numeric_limits<float>::quiet_NaN()};
  for (const std::size_t n : {1U, 40U, 256U, 700U}) {
    for (const std::size_t at : {std::size_t{0}, n / 2, n - 1}) {
      for (const float value : bad) {
        std::vector<float> logits(n, 1.0F);
        logits[at] = value;
        std::vector<std::uint32_t> all((n + 31) / 32, 0xffffffffU);
        auto masked = drawing(1.0F);
        masked.allowed_tokens = all.data();
        for (const auto& row : {greedy(), drawing(1.0F), masked}) {
          for (const IsaLevel level : levels()) {
            const auto result = sample(logits, row, level);
            EXPECT_EQ(result.status, SampleStatus::kNotFinite);
            EXPECT_EQ(result.token, -1);
          }
        }
      }
    }
  }
}

TEST(Sample, MasksAreExact) {
  std::mt19937_64 random(5);
  for (const std::size_t n : {1U, 31U, 33U, 256U, 300U, 2000U}) {
    for (int round = 0; round < 40; ++round) {
      std::vector<std::uint32_t> mask((n + 31) / 32, 0);
      const std::size_t only = random() % n;
      mask[only / 32] |= 1U << (only % 32);
      auto row = round % 2 == 0 ? greedy() : drawing(1.5F);
      row.allowed_tokens = mask.data();
      row.top_k = static_cast<int32_t>(random() % 4);
      row.top_p = round % 3 == 0 ? 0.5F : 1.0F;
      EXPECT_EQ(sample(random_logits(n, random(), 4.0F), row).token, static_cast<int32_t>(only));
    }
    std::vector<std::uint32_t> none((n + 31) / 32, 0);
    auto row = drawing(1.0F);
    row.allowed_tokens = none.data();
    EXPECT_EQ(sample(random_logits(n, 1, 4.0F), row).status, SampleStatus::kNothingAllowed);
  }
}

TEST(Sample, MaskedDistribution) {
  const auto logits = random_logits(700, 8, 1.5F);
  std::vector<std::uint32_t> mask(22);
  std::mt19937_64 random(9);
  for (auto& word : mask) {  // a quarter of the tokens
    const std::uint64_t half = random();
    word = static_cast<std::uint32_t>(half & random());
  }
  for (const int top_k : {0, 40}) {
    for (const float top_p : {1.0F, 0.8F}) {
      auto row = drawing(0.9F);
      row.allowed_tokens = mask.data();
      row.top_k = top_k;
      row.top_p = top_p;
      expect_draws(logits, row, 40'000);
    }
  }
}

struct Case {
  std::size_t vocabulary;
  float spread;
  float temperature;
  int top_k;
  float top_p;
  float min_p;
};
class SampleDistribution : public testing::TestWithParam<Case> {};

TEST_P(SampleDistribution, MatchesTheDefinition) {
  const Case& c = GetParam();
  SampleRow row{c.temperature, c.top_p, c.min_p, c.top_k, 42, 0, nullptr};
  expect_draws(random_logits(c.vocabulary, 11, c.spread), row, 60'000);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, SampleDistribution,
    testing::Values(Case{8, 1.0F, 1.0F, 0, 1.0F, 0.0F}, Case{600, 1.5F, 1.0F, 0, 1.0F, 0.0F},
                    Case{600, 1.5F, 0.6F, 0, 1.0F, 0.0F}, Case{600, 1.5F, 2.0F, 0, 1.0F, 0.0F},
                    Case{600, 1.5F, 1.0F, 20, 1.0F, 0.0F}, Case{40, 1.5F, 1.0F, 7, 1.0F, 0.0F},
                    Case{1024, 1.5F, 1.0F, 500, 1.0F, 0.0F}, Case{600, 1.5F, 1.0F, 0, 0.9F, 0.0F},
                    Case{600, 1.5F, 1.3F, 0, 0.3F, 0.0F}, Case{600, 1.5F, 1.0F, 0, 1.0F, 0.05F},
                    Case{600, 1.5F, 1.0F, 30, 0.8F, 0.0F}, Case{600, 1.5F, 0.8F, 100, 0.95F, 0.02F},
                    Case{600, 1.5F, 0.8F, 0, 0.95F, 0.1F}));

// Which tokens can be drawn at all, over large vocabularies and equal logits.
TEST(Sample, KeptSetIsExact) {
  std::mt19937_64 random(17);
  for (int round = 0; round < 60; ++round) {
    const std::size_t n = 1 + random() % 9000;
    auto logits = random_logits(n, random(), 3.0F);
    if (round % 2 == 0) {
      for (float& logit : logits) logit = std::round(logit);  // many equals
    }
    SampleRow row{1.0F, 1.0F, 0.0F, 0, random(), 0, nullptr};
    row.top_k = round % 3 == 0 ? 0 : static_cast<int32_t>(1 + random() % 600);
    // The reference sums in another order, so stay off boundaries that rounding decides.
    row.top_p = round % 5 < 2 ? 1.0F : 0.37F + 0.1F * static_cast<float>(random() % 6);
    const auto expected = reference(logits, row);
    std::vector<bool> seen(n, false);
    for (int i = 0; i < 400; ++i) {
      row.position = static_cast<std::uint64_t>(i);
      const auto token = static_cast<std::size_t>(sample(logits, row).token);
      ASSERT_GT(expected[token], 0) << "round " << round;
      seen[token] = true;
    }
    for (std::size_t i = 0; i < n; ++i) {
      EXPECT_TRUE(seen[i] || expected[i] < 0.05) << "round " << round << " never drew " << i;
    }
  }
}

// Logits of the shapes that decide which way the selection goes.
std::vector<float> shaped_logits(std::size_t n, int shape, std::uint64_t seed) {
  auto logits = random_logits(n, seed, shape == 0 ? 3.0F : shape == 1 ? 0.01F : 1.0F);
  if (shape == 2) std::fill(logits.begin(), logits.end(), -2.5F);
  if (shape == 3) {
    for (float& logit : logits) logit = std::round(logit);
  }
  if (shape == 4) logits[n / 2] = 60.0F;
  return logits;
}

TEST(Sample, EveryLevelDrawsTheSame) {
  std::mt19937_64 random(23);
  for (const std::size_t n : {1U, 7U, 255U, 1000U, 1024U, 1025U, 4111U, 151'936U}) {
    for (int shape = 0; shape < 5; ++shape) {
      const auto logits = shaped_logits(n, shape, random());
      std::vector<std::uint32_t> mask((n + 31) / 32);
      for (auto& word : mask) word = static_cast<std::uint32_t>(random());
      for (int round = 0; round < 24; ++round) {
        SampleRow row{round % 5 == 0 ? 0.0F : 0.4F * static_cast<float>(1 + round % 4),
                      round % 3 == 0 ? 1.0F : 0.5F + 0.025F * static_cast<float>(round % 20),
                      round % 4 == 0 ? 0.0F : 0.02F,
                      round % 2 == 0 ? 0 : static_cast<int32_t>(1 + random() % 500),
                      random(),
                      random(),
                      round % 6 == 5 ? mask.data() : nullptr};
        const auto want = sample(logits, row, IsaLevel::kScalar);
        for (const IsaLevel level : levels()) {
          const auto got = sample(logits, row, level);
          EXPECT_EQ(got.token, want.token) << n << " shape " << shape << " round " << round;
          EXPECT_EQ(got.status, want.status);
        }
      }
    }
  }
}

// Without a single draw: the cut of top_p lies where the definition in double says. The last token
// kept is the answer to the largest random number, so look for it by many draws of few tokens.
TEST(Sample, TopPOfEqualsKeepsTheLowestIds) {
  for (const std::size_t n : {10U, 1000U, 3000U, 20'000U}) {
    const std::vector<float> logits(n, 0.25F);
    SampleRow row{1.0F, 0.5F, 0.0F, 0, 1, 0, nullptr};
    std::int32_t highest = -1;
    for (std::uint64_t i = 0; i < 3000; ++i) {
      row.position = i;
      highest = std::max(highest, sample(logits, row).token);
    }
    EXPECT_LT(highest, static_cast<std::int32_t>(n / 2)) << n;
    EXPECT_GE(highest, static_cast<std::int32_t>(n / 2 - n / 100 - 1)) << n;
  }
}

TEST(Sample, DependsOnSeedAndPositionAlone) {
  const auto logits = random_logits(4000, 21, 2.0F);
  auto row = drawing(1.0F);
  row.seed = 7;
  row.position = 9;
  const auto token = sample(logits, row).token;
  EXPECT_EQ(sample(logits, row).token, token);
  int different = 0;
  for (std::uint64_t i = 0; i < 20; ++i) {
    row.seed = 100 + i;
    different += sample(logits, row).token != token ? 1 : 0;
  }
  EXPECT_GT(different, 10);
}

}  // namespace
}  // namespace vsurge::kernels
