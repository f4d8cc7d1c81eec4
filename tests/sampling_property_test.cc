// Sampling under random and extreme parameters and logits: never a forbidden token, never NaN, the
// same result at every instruction set level.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "engine/options.h"
#include "engine/sampler_state.h"
#include "kernels/kernels.h"

namespace vsurge::testing {
namespace {

using engine::TokenId;
using kernels::IsaLevel;
using kernels::SampleStatus;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kLargest = std::numeric_limits<float>::max();

class Dice {
 public:
  explicit Dice(std::uint64_t seed) : random_(seed) {}
  std::uint64_t below(std::uint64_t n) { return random_() % n; }
  bool one_in(std::uint64_t n) { return below(n) == 0; }
  float of(std::initializer_list<float> values) { return values.begin()[below(values.size())]; }
  TokenId token(int vocabulary) {
    return static_cast<TokenId>(below(static_cast<std::uint64_t>(vocabulary)));
  }
  std::vector<TokenId> tokens(int vocabulary, std::uint64_t count) {
    std::vector<TokenId> result(count);
    for (TokenId& t : result) t = token(vocabulary);
    return result;
  }

 private:
  std::mt19937_64 random_;
};

engine::SamplingParams random_params(Dice& dice, int vocabulary) {
  engine::SamplingParams p;
  p.temperature = dice.of({0.0F, 1e-5F, 1e-3F, 0.7F, 1.0F, 2.0F});
  p.top_p = dice.of({1.0F, 1.0F, 0.9F, 0.5F, 1e-30F, 0.999999F});
  p.min_p = dice.of({0.0F, 0.0F, 0.05F, 1e-30F, 1.0F});
  p.typical_p = dice.of({1.0F, 1.0F, 0.9F, 0.1F, 1e-30F, 0.999999F});
  p.top_n_sigma = dice.of({0.0F, 0.0F, 1.0F, 1e-30F, kLargest});
  p.top_k = static_cast<int>(dice.of({0.0F, 0.0F, 1.0F, 2.0F, 40.0F, 1000.0F, 1e9F}));
  p.repetition_penalty = dice.of({1.0F, 1.2F, 10.0F, 1e-30F, 0.5F});
  p.presence_penalty = dice.of({0.0F, 2.0F, -2.0F});
  p.frequency_penalty = dice.of({0.0F, 2.0F, -2.0F});
  p.xtc.probability = dice.of({0.0F, 0.5F, 1.0F});
  p.xtc.threshold = dice.of({0.0F, 0.1F, 0.5F});
  if (dice.one_in(3)) {
    p.dry = {dice.of({0.5F, 100.0F}), dice.of({1.0F, 1.75F, 10.0F}), 1, 0, {}};
  }
  if (dice.one_in(3)) {
    for (const TokenId t : dice.tokens(vocabulary, dice.below(300))) {
      p.logit_bias.emplace_back(t, dice.of({-100.0F, 100.0F, 0.5F}));
    }
  }
  const std::uint64_t some = static_cast<std::uint64_t>(std::min(40, vocabulary)) + 1;
  if (dice.one_in(3)) p.suppress_tokens = dice.tokens(vocabulary, dice.below(some));
  if (dice.one_in(3)) p.allowed_token_ids = dice.tokens(vocabulary, dice.below(some));
  for (auto i = dice.below(5); i > 0; --i) {
    p.bad_words.push_back(dice.tokens(vocabulary, 1 + dice.below(2)));
  }
  p.min_tokens = static_cast<int>(dice.below(20));
  p.stop_token_ids = dice.tokens(vocabulary, dice.below(3));
  if (dice.one_in(4)) {
    p.thinking =
        engine::ThinkingBudget{5, dice.token(vocabulary), dice.token(vocabulary), dice.one_in(2)};
  }
  if (dice.one_in(2)) p.logprobs = static_cast<int>(dice.below(21));
  return p;
}

std::vector<float> random_logits(Dice& dice, int vocabulary) {
  const float spread = dice.of({0.0F, 1e-30F, 0.01F, 3.0F, 100.0F, 1e30F});
  std::mt19937_64 random(dice.below(1ULL << 60));
  std::normal_distribution<float> normal(0, 1);
  std::vector<float> logits(static_cast<std::size_t>(vocabulary));
  for (float& x : logits) x = spread * normal(random);
  if (dice.one_in(4)) {
    for (float& x : logits) x = std::clamp(std::round(x), -1e6F, 1e6F);  // many equals
  }
  if (dice.one_in(6)) {
    for (const TokenId t : dice.tokens(vocabulary, 3)) {
      logits[static_cast<std::size_t>(t)] = dice.of({kLargest, -kLargest, 0.0F, -0.0F});
    }
  }
  return logits;
}

// What the parameters forbid, worked out token by token.
std::vector<bool> forbidden(const engine::SamplingParams& p, const std::vector<TokenId>& answer,
                            const std::vector<TokenId>& history, int vocabulary) {
  std::vector<bool> result(static_cast<std::size_t>(vocabulary), false);
  const auto ban = [&](TokenId t) { result[static_cast<std::size_t>(t)] = true; };
  if (p.thinking) {
    bool open = p.thinking->open;
    int thought = 0;
    for (const TokenId t : answer) {
      if (t == p.thinking->end_token) {
        open = false;
      } else if (open) {
        ++thought;
      } else {
        open = t == p.thinking->begin_token;
      }
    }
    if (open && thought >= p.thinking->tokens) {
      result.assign(result.size(), true);
      result[static_cast<std::size_t>(p.thinking->end_token)] = false;
      return result;
    }
  }
  if (!p.allowed_token_ids.empty()) {
    result.assign(result.size(), true);
    for (const TokenId t : p.allowed_token_ids) result[static_cast<std::size_t>(t)] = false;
  }
  for (const TokenId t : p.suppress_tokens) ban(t);
  for (const auto& word : p.bad_words) {
    if (word.size() == 1 || word[0] == history.back()) ban(word.back());
  }
  if (static_cast<int>(answer.size()) < p.min_tokens) {
    ban(0);
    for (const TokenId t : p.stop_token_ids) ban(t);
  }
  return result;
}

void expect_same(const kernels::SampleResult& a, const kernels::SampleResult& b) {
  EXPECT_EQ(a.token, b.token);
  EXPECT_EQ(a.status, b.status);
  EXPECT_EQ(a.rank, b.rank);
  EXPECT_EQ(std::bit_cast<std::uint32_t>(a.logprob), std::bit_cast<std::uint32_t>(b.logprob));
  ASSERT_EQ(a.top_count, b.top_count);
  for (int i = 0; i < a.top_count; ++i) {
    EXPECT_EQ(a.top[i].token, b.top[i].token);
    EXPECT_EQ(std::bit_cast<std::uint32_t>(a.top[i].logprob),
              std::bit_cast<std::uint32_t>(b.top[i].logprob));
  }
}

void expect_sane_logprobs(const kernels::SampleResult& r, int wanted, int vocabulary) {
  EXPECT_FALSE(std::isnan(r.logprob));
  EXPECT_LE(r.logprob, 1e-6F);
  EXPECT_GE(r.rank, 1);
  EXPECT_LE(r.rank, vocabulary);
  ASSERT_EQ(r.top_count, std::min(wanted, vocabulary));
  for (int i = 0; i < r.top_count; ++i) {
    EXPECT_FALSE(std::isnan(r.top[i].logprob));
    if (i == 0) continue;
    const bool falls = r.top[i].logprob < r.top[i - 1].logprob;
    const bool ties = r.top[i].logprob == r.top[i - 1].logprob;
    EXPECT_TRUE(falls || ties);
  }
}

kernels::SampleRow row_of(const engine::SamplingParams& p, Dice& dice) {
  kernels::SampleRow row{p.temperature,     p.top_p,           p.min_p, p.top_k,
                         dice.below(~0ULL), dice.below(~0ULL), nullptr};
  row.typical_p = p.typical_p;
  row.top_n_sigma = p.top_n_sigma;
  row.xtc_probability = p.xtc.probability;
  row.xtc_threshold = p.xtc.threshold;
  if (p.logprobs) row.logprobs = *p.logprobs;
  return row;
}

void run_round(std::uint64_t seed) {
  SCOPED_TRACE(seed);
  Dice dice(seed);
  engine::EngineOptions options;
  options.context_max = 1000;
  options.pages = 1000;
  options.vocabulary = static_cast<int>(1 + dice.below(dice.one_in(8) ? 9000 : 400));
  options.eos_tokens = {0};
  engine::Request request;
  request.prompt = dice.tokens(options.vocabulary, 1 + dice.below(60));
  request.sampling = random_params(dice, options.vocabulary);
  const engine::SamplingParams& p = request.sampling;
  const base::Status status = engine::check_request(options, request);
  ASSERT_TRUE(status.has_value()) << status.error().message;

  const auto state = engine::SamplerState::make(p, request.prompt, options);
  const auto answer = dice.tokens(options.vocabulary, dice.below(40));
  std::vector<TokenId> history = request.prompt;
  kernels::SampleRow row = row_of(p, dice);
  for (const TokenId t : answer) {
    history.push_back(t);
    if (state) state->accept(t);
  }
  if (state) state->prepare(history, row);

  const std::vector<float> logits = random_logits(dice, options.vocabulary);
  const std::vector<bool> gone = forbidden(p, answer, history, options.vocabulary);
  std::vector<std::uint64_t> scratch(kernels::sample_scratch(options.vocabulary));
  kernels::SampleResult first{};
  std::array<kernels::TopLogprob, engine::kTopLogprobsMax> top;
  std::array<kernels::TopLogprob, engine::kTopLogprobsMax> first_top;
  for (const IsaLevel level : kernels::kIsaLevels) {
    if (!kernels::supported(level)) continue;
    std::vector<float> copy = logits;
    row.top = level == IsaLevel::kScalar ? first_top.data() : top.data();
    const auto result =
        kernels::table(level).sample(copy.data(), options.vocabulary, row, scratch.data());
    if (level != IsaLevel::kScalar) {
      expect_same(result, first);
      continue;
    }
    first = result;
    if (std::ranges::find(gone, false) == gone.end()) {
      EXPECT_EQ(result.status, SampleStatus::kNothingAllowed);
      continue;
    }
    ASSERT_EQ(result.status, SampleStatus::kOk);
    ASSERT_GE(result.token, 0);
    ASSERT_LT(result.token, options.vocabulary);
    EXPECT_FALSE(gone[static_cast<std::size_t>(result.token)]);
    if (p.logprobs) expect_sane_logprobs(result, *p.logprobs, options.vocabulary);
  }
}

TEST(SamplingProperties, NeverForbiddenNeverNan) {
  for (std::uint64_t seed = 0; seed < 20'000; ++seed) {
    run_round(seed);
    if (HasFailure()) break;
  }
}

// Named tokens are told in their order, of the same distribution as the likeliest, and change
// nothing else.
TEST(SamplingProperties, NamedTokensAreToldInPlaceOfTheLikeliest) {
  Dice dice(9);
  for (int round = 0; round < 500; ++round) {
    const int vocabulary = static_cast<int>(30 + dice.below(700));
    const engine::SamplingParams p = random_params(dice, vocabulary);
    kernels::SampleRow row = row_of(p, dice);
    const std::vector<float> logits = random_logits(dice, vocabulary);
    std::vector<std::uint64_t> scratch(kernels::sample_scratch(vocabulary));
    std::array<kernels::TopLogprob, engine::kLogprobTokenIdsMax> likeliest;
    std::array<kernels::TopLogprob, engine::kLogprobTokenIdsMax> told;
    for (const IsaLevel level : kernels::kIsaLevels) {
      if (!kernels::supported(level)) continue;
      const auto sample = [&](int count, const TokenId* tokens, kernels::TopLogprob* top) {
        std::vector<float> copy = logits;
        row.logprobs = count;
        row.told_tokens = tokens;
        row.top = top;
        return kernels::table(level).sample(copy.data(), vocabulary, row, scratch.data());
      };
      const auto plain = sample(engine::kTopLogprobsMax, nullptr, likeliest.data());
      ASSERT_EQ(plain.top_count, engine::kTopLogprobsMax);
      // From the least likely to the likeliest of them, then a token drawn at random.
      std::vector<TokenId> named;
      for (int i = plain.top_count - 1; i >= 0; --i) named.push_back(plain.top[i].token);
      named.push_back(dice.token(vocabulary));
      const auto result = sample(static_cast<int>(named.size()), named.data(), told.data());
      EXPECT_EQ(result.token, plain.token);
      EXPECT_EQ(result.logprob, plain.logprob);
      EXPECT_EQ(result.rank, plain.rank);
      ASSERT_EQ(result.top_count, static_cast<std::int32_t>(named.size()));
      for (std::size_t i = 0; i < named.size(); ++i) EXPECT_EQ(told[i].token, named[i]);
      for (int i = 0; i < plain.top_count; ++i) {
        const auto mirrored = static_cast<std::size_t>(plain.top_count - 1 - i);
        EXPECT_EQ(told[mirrored].logprob, plain.top[i].logprob);
      }
      const auto at = [&](TokenId token) { return logits[static_cast<std::size_t>(token)]; };
      const double apart =
          static_cast<double>(at(named.back())) - static_cast<double>(at(plain.top[0].token));
      EXPECT_NEAR(static_cast<double>(told[named.size() - 1].logprob),
                  static_cast<double>(plain.top[0].logprob) + apart, 1e-3 + 1e-6 * -apart);
    }
  }
}

// A tiny answer must be right for every corner: one token, nothing but extremes.
TEST(SamplingProperties, NotFiniteEndsItWhateverIsAsked) {
  Dice dice(5);
  for (int round = 0; round < 500; ++round) {
    const int vocabulary = static_cast<int>(1 + dice.below(700));
    const engine::SamplingParams p = random_params(dice, vocabulary);
    kernels::SampleRow row = row_of(p, dice);
    std::vector<float> logits = random_logits(dice, vocabulary);
    // Banned tokens do not hide it.
    const TokenId bad = dice.token(vocabulary);
    logits[static_cast<std::size_t>(bad)] =
        dice.of({kInfinity, -kInfinity, std::numeric_limits<float>::quiet_NaN()});
    const kernels::LogitEdit ban{bad, 0, 1, kInfinity};
    row.edits = &ban;
    row.edits_count = 1;
    const std::vector<std::uint32_t> none((static_cast<std::size_t>(vocabulary) + 31) / 32, 0);
    if (dice.one_in(2)) row.allowed_tokens = none.data();
    std::vector<std::uint64_t> scratch(kernels::sample_scratch(vocabulary));
    for (const IsaLevel level : kernels::kIsaLevels) {
      if (!kernels::supported(level)) continue;
      std::vector<float> copy = logits;
      const auto result =
          kernels::table(level).sample(copy.data(), vocabulary, row, scratch.data());
      EXPECT_EQ(result.status, SampleStatus::kNotFinite);
      EXPECT_EQ(result.token, -1);
    }
  }
}

TEST(SamplingProperties, AScoredTokenIsTheOneDrawn) {
  Dice dice(6);
  for (int round = 0; round < 500; ++round) {
    const int vocabulary = static_cast<int>(1 + dice.below(3000));
    std::vector<float> logits = random_logits(dice, vocabulary);
    std::vector<std::uint64_t> scratch(kernels::sample_scratch(vocabulary));
    kernels::SampleRow row{1.0F, 1.0F, 0.0F, 0, 1, static_cast<std::uint64_t>(round), nullptr};
    row.logprobs = 5;
    const auto& table = kernels::table(kernels::best_level());
    std::vector<float> copy = logits;
    const auto drawn = table.sample(copy.data(), vocabulary, row, scratch.data());
    ASSERT_EQ(drawn.status, SampleStatus::kOk);
    // Bans do not matter to a token that is given.
    const kernels::LogitEdit ban{drawn.token, 0, 1, kInfinity};
    row.edits = &ban;
    row.edits_count = 1;
    row.scored_token = drawn.token;
    const auto scored = table.sample(logits.data(), vocabulary, row, scratch.data());
    expect_same(drawn, scored);
  }
}

}  // namespace
}  // namespace vsurge::testing
