#include "engine/sampler_state.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <random>
#include <set>
#include <tuple>

namespace vsurge::engine {
namespace {

constexpr float kBan = std::numeric_limits<float>::infinity();
constexpr int kVocabulary = 40;

EngineOptions options() {
  EngineOptions result;
  result.context_max = 4096;
  result.page_size = 16;
  result.pages = 1000;
  result.vocabulary = kVocabulary;
  result.eos_tokens = {1, 2, kVocabulary};  // one without a logit
  return result;
}

// Edits by token; adding a token twice is an error.
using Edits = std::map<TokenId, std::tuple<float, float, float>>;

Edits collect(const kernels::LogitEdit* edits, std::int32_t count) {
  Edits result;
  for (std::int32_t i = 0; i < count; ++i) {
    const bool is_new = result
                            .emplace(edits[i].token, std::tuple(edits[i].bias, edits[i].repetition,
                                                                edits[i].subtract))
                            .second;
    EXPECT_TRUE(is_new) << "token " << edits[i].token << " is edited twice";
  }
  return result;
}

// A state and the tokens it has seen.
struct Story {
  std::unique_ptr<SamplerState> state;
  std::vector<TokenId> history;
  kernels::SampleRow row{};

  Story(const SamplingParams& sampling, std::vector<TokenId> prompt)
      : state(SamplerState::make(sampling, prompt, options())), history(std::move(prompt)) {}
  void accept(TokenId token) {
    state->accept(token);
    history.push_back(token);
  }
  Edits edits() {
    state->prepare(history, row);
    return collect(row.edits, row.edits_count);
  }
  Edits step_edits() {
    state->prepare(history, row);
    return collect(row.step_edits, row.step_edits_count);
  }
  std::set<TokenId> allowed() {
    state->prepare(history, row);
    std::set<TokenId> result;
    for (TokenId t = 0; t < kVocabulary; ++t) {
      const auto i = static_cast<std::size_t>(t);
      if (row.allowed_tokens == nullptr || ((row.allowed_tokens[i / 32] >> (i % 32)) & 1U) != 0) {
        result.insert(t);
      }
    }
    return result;
  }
};

std::set<TokenId> keys(const Edits& edits) {
  std::set<TokenId> result;
  for (const auto& [token, edit] : edits) result.insert(token);
  return result;
}

TEST(SamplerState, NoneWhenNothingNeedsIt) {
  SamplingParams plain;
  plain.temperature = 0.3F;
  plain.top_k = 5;
  plain.typical_p = 0.5F;
  plain.xtc.probability = 0.5F;
  plain.stop_token_ids = {7};
  EXPECT_EQ(SamplerState::make(plain, {}, options()), nullptr);
  plain.min_tokens = 1;
  EXPECT_NE(SamplerState::make(plain, {}, options()), nullptr);
}

TEST(SamplerState, RepetitionCountsThePromptTheOthersDoNot) {
  SamplingParams sampling;
  sampling.repetition_penalty = 1.5F;
  sampling.presence_penalty = 0.5F;
  sampling.frequency_penalty = 0.25F;
  Story story(sampling, {3, 4, 3, 12});
  EXPECT_EQ(story.edits(), (Edits{{3, {0, 1.5F, 0}}, {4, {0, 1.5F, 0}}, {12, {0, 1.5F, 0}}}));
  story.accept(4);
  story.accept(9);
  story.accept(4);
  EXPECT_EQ(story.edits(), (Edits{{3, {0, 1.5F, 0}},
                                  {4, {0, 1.5F, 2 * 0.25F + 0.5F}},
                                  {9, {0, 1.5F, 0.25F + 0.5F}},
                                  {12, {0, 1.5F, 0}}}));
  EXPECT_TRUE(story.step_edits().empty());
}

TEST(SamplerState, BiasAndBansShareOneEdit) {
  SamplingParams sampling;
  sampling.logit_bias = {{5, 2.0F}, {6, -1.0F}};
  sampling.suppress_tokens = {6, 7};
  sampling.bad_words = {{8}, {5}};
  sampling.frequency_penalty = -0.5F;
  Story story(sampling, {1});
  story.accept(6);
  story.accept(10);
  EXPECT_EQ(story.edits(), (Edits{{5, {2, 1, kBan}},
                                  {6, {-1, 1, kBan}},
                                  {7, {0, 1, kBan}},
                                  {8, {0, 1, kBan}},
                                  {10, {0, 1, -0.5F}}}));
}

TEST(SamplerState, BadWordsOfSeveralTokens) {
  SamplingParams sampling;
  sampling.bad_words = {{3, 4}, {5, 3, 6}, {3, 7}, {9, 9, 9, 9}, {4, 8}};
  Story story(sampling, {5});
  EXPECT_TRUE(story.step_edits().empty());
  story.accept(3);
  EXPECT_EQ(keys(story.step_edits()), (std::set<TokenId>{4, 6, 7}));
  story.accept(9);
  EXPECT_TRUE(story.step_edits().empty());
  story.accept(9);
  EXPECT_TRUE(story.step_edits().empty());
  story.accept(9);
  EXPECT_EQ(keys(story.step_edits()), (std::set<TokenId>{9}));
  story.accept(4);
  EXPECT_EQ(keys(story.step_edits()), (std::set<TokenId>{8}));
  // Longer than the history: no match, no reading before it.
  Story fresh(sampling, {3});
  EXPECT_EQ(keys(fresh.step_edits()), (std::set<TokenId>{4, 7}));
}

TEST(SamplerState, MinTokensBansEveryStopToken) {
  SamplingParams sampling;
  sampling.min_tokens = 2;
  sampling.stop_token_ids = {11, 2};
  Story story(sampling, {5});
  EXPECT_EQ(keys(story.step_edits()), (std::set<TokenId>{1, 2, 11}));
  story.accept(6);
  EXPECT_EQ(keys(story.step_edits()), (std::set<TokenId>{1, 2, 11}));
  story.accept(6);
  EXPECT_TRUE(story.step_edits().empty());
  // End-of-text tokens that do not end the answer need no ban.
  sampling.ignore_eos = true;
  Story endless(sampling, {5});
  EXPECT_EQ(keys(endless.step_edits()), (std::set<TokenId>{2, 11}));
}

TEST(SamplerState, AllowedTokens) {
  SamplingParams sampling;
  sampling.allowed_token_ids = {0, 31, 32, 39, 31};
  Story story(sampling, {5});
  EXPECT_EQ(story.allowed(), (std::set<TokenId>{0, 31, 32, 39}));
}

TEST(SamplerState, ThinkingBudgetForcesTheEnd) {
  SamplingParams sampling;
  sampling.thinking = ThinkingBudget{2, 20, 21, false};
  sampling.suppress_tokens = {21};
  Story story(sampling, {5});
  for (const TokenId token : {6, 7, 8, 20}) {  // not thinking: any number of tokens
    EXPECT_EQ(story.allowed().size(), std::size_t{kVocabulary});
    story.accept(token);
  }
  EXPECT_EQ(story.allowed().size(), std::size_t{kVocabulary});
  story.accept(6);
  EXPECT_EQ(story.allowed().size(), std::size_t{kVocabulary});
  story.accept(6);
  EXPECT_EQ(story.allowed(), (std::set<TokenId>{21}));
  EXPECT_EQ(story.row.edits_count, 0);  // no ban can forbid it
  story.accept(21);
  EXPECT_EQ(story.allowed().size(), std::size_t{kVocabulary});
  EXPECT_EQ(story.row.edits_count, 1);
  story.accept(20);  // the budget is the whole answer's
  EXPECT_EQ(story.allowed(), (std::set<TokenId>{21}));

  sampling.thinking = ThinkingBudget{0, -1, 21, true};
  Story open(sampling, {5});
  EXPECT_EQ(open.allowed(), (std::set<TokenId>{21}));
  open.accept(21);
  EXPECT_EQ(open.allowed().size(), std::size_t{kVocabulary});
}

TEST(SamplerState, ThinkingMayEndByItself) {
  SamplingParams sampling;
  sampling.thinking = ThinkingBudget{3, -1, 21, true};
  Story story(sampling, {5});
  for (const TokenId token : {6, 21, 6, 7, 8, 9, 10}) {
    story.accept(token);
    EXPECT_EQ(story.allowed().size(), std::size_t{kVocabulary}) << token;
  }
}

// DRY by its definition, in quadratic time: for every earlier place that the end of the text would
// repeat, how long that repetition is.
Edits dry_reference(const DryParams& dry, std::vector<TokenId> text) {
  if (dry.range > 0 && text.size() > static_cast<std::size_t>(dry.range)) {
    text.erase(text.begin(), text.end() - dry.range);
  }
  const auto breaks = [&](TokenId token) {
    return std::ranges::find(dry.sequence_breakers, token) != dry.sequence_breakers.end();
  };
  std::map<TokenId, int> lengths;
  const int n = static_cast<int>(text.size());
  for (int end = 0; end < n - 1; ++end) {  // an earlier occurrence ends here
    int length = 0;
    while (length <= end) {
      const TokenId here = text[static_cast<std::size_t>(end - length)];
      if (breaks(here) || here != text[static_cast<std::size_t>(n - 1 - length)]) break;
      ++length;
    }
    const TokenId next = text[static_cast<std::size_t>(end + 1)];
    if (length < dry.allowed_length || breaks(next)) continue;
    lengths[next] = std::max(lengths[next], length);
  }
  Edits result;
  for (const auto& [token, length] : lengths) {
    const double penalty = static_cast<double>(dry.multiplier) *
                           std::pow(static_cast<double>(dry.base), length - dry.allowed_length);
    result[token] = {0.0F, 1.0F, static_cast<float>(std::min(penalty, 1e6))};
  }
  return result;
}

TEST(SamplerState, DryByItsDefinition) {
  std::mt19937_64 random(3);
  for (int round = 0; round < 300; ++round) {
    SamplingParams sampling;
    sampling.dry.multiplier = 0.5F + 0.1F * static_cast<float>(random() % 20);
    sampling.dry.base = 1.0F + 0.25F * static_cast<float>(random() % 12);
    sampling.dry.allowed_length = static_cast<int>(1 + random() % 5);
    sampling.dry.range = random() % 3 == 0 ? static_cast<int>(1 + random() % 50) : 0;
    const std::uint64_t letters = 1 + random() % 6;
    for (std::uint64_t i = random() % 3; i > 0; --i) {
      sampling.dry.sequence_breakers.push_back(static_cast<TokenId>(random() % (letters + 2)));
    }
    std::vector<TokenId> prompt(1 + random() % 60);
    for (TokenId& token : prompt) token = static_cast<TokenId>(random() % letters);
    Story story(sampling, prompt);
    for (int i = 0; i < 30; ++i) {
      EXPECT_EQ(story.step_edits(), dry_reference(sampling.dry, story.history)) << round;
      story.accept(static_cast<TokenId>(random() % letters));
    }
  }
}

TEST(SamplerState, DryOfALongLoopStaysFinite) {
  SamplingParams sampling;
  sampling.dry.multiplier = 100.0F;
  sampling.dry.base = 10.0F;
  Story story(sampling, std::vector<TokenId>(3000, 4));
  const Edits edits = story.step_edits();
  ASSERT_EQ(edits.size(), 1U);
  EXPECT_EQ(std::get<2>(edits.at(4)), 1e6F);
}

SamplingParams random_params(std::mt19937_64& random) {
  const auto token = [&] { return static_cast<TokenId>(random() % kVocabulary); };
  SamplingParams sampling;
  if (random() % 2 == 0) sampling.repetition_penalty = 1.2F;
  if (random() % 2 == 0) sampling.presence_penalty = -0.3F;
  if (random() % 2 == 0) sampling.frequency_penalty = 0.7F;
  for (auto i = random() % 4; i > 0; --i) sampling.logit_bias.emplace_back(token(), 1.5F);
  for (auto i = random() % 3; i > 0; --i) sampling.suppress_tokens.push_back(token());
  for (auto i = random() % 6; i > 0; --i) {
    sampling.bad_words.emplace_back();
    for (auto k = 1 + random() % 3; k > 0; --k) sampling.bad_words.back().push_back(token());
  }
  if (random() % 3 == 0) sampling.dry.multiplier = 1.0F;
  sampling.min_tokens = static_cast<int>(random() % 10);
  if (random() % 3 == 0) sampling.thinking = ThinkingBudget{4, 20, 21, random() % 2 == 0};
  sampling.frequency_penalty += 0.25F;  // never all at their defaults
  return sampling;
}

// Preemption throws nothing away, but a state made anew must not differ either.
TEST(SamplerState, ReplayGivesTheSame) {
  std::mt19937_64 random(8);
  for (int round = 0; round < 100; ++round) {
    const SamplingParams sampling = random_params(random);
    Story story(sampling, {3, 4, 5, 4});
    for (int i = 0; i < 60; ++i) {
      story.accept(static_cast<TokenId>(random() % kVocabulary));
      // Looking changes nothing, however often.
      if (random() % 2 == 0) story.edits();
    }
    Story again(sampling, {3, 4, 5, 4});
    for (std::size_t i = 4; i < story.history.size(); ++i) again.accept(story.history[i]);
    EXPECT_EQ(story.edits(), again.edits());
    EXPECT_EQ(story.step_edits(), again.step_edits());
    EXPECT_EQ(story.allowed(), again.allowed());
  }
}

TEST(TokenTable, NumbersInOrder) {
  TokenTable table;
  std::map<TokenId, std::int32_t> want;
  std::mt19937_64 random(4);
  for (int clears = 0; clears < 3; ++clears) {
    for (int i = 0; i < 3000; ++i) {
      const auto token = static_cast<TokenId>(random() % 5 == 0 ? random() % 10 : random() >> 33);
      const auto number = static_cast<std::int32_t>(want.size());
      const bool is_new = want.emplace(token, number).second;
      EXPECT_EQ(table.insert(token), std::pair(want[token], is_new));
    }
    EXPECT_EQ(table.size(), static_cast<std::int32_t>(want.size()));
    table.clear();
    want.clear();
  }
}

}  // namespace
}  // namespace vsurge::engine
