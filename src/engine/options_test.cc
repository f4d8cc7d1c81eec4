#include "engine/options.h"

#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <span>

namespace vsurge::engine {
namespace {

using base::ErrorCode;

EngineOptions options() {
  EngineOptions result;
  result.context_max = 100;
  result.page_size = 16;
  result.pages = 50;
  result.vocabulary = 1000;
  return result;
}

Request request(std::size_t prompt, std::optional<int> max_tokens) {
  Request result;
  result.prompt.assign(prompt, 5);
  result.sampling.max_tokens = max_tokens;
  return result;
}

void expect_error(const base::Status& status, ErrorCode code, const std::string& param) {
  ASSERT_FALSE(status.has_value()) << param;
  EXPECT_EQ(status.error().code, code);
  EXPECT_EQ(status.error().param, param);
  EXPECT_FALSE(status.error().message.empty());
}

TEST(CheckRequest, AtTheLimitAndOnePast) {
  EXPECT_TRUE(check_request(options(), request(99, {})));
  EXPECT_TRUE(check_request(options(), request(99, 1)));
  EXPECT_TRUE(check_request(options(), request(1, 99)));
  const auto long_prompt = check_request(options(), request(100, {}));
  expect_error(long_prompt, ErrorCode::kContextLengthExceeded, "prompt");
  const auto long_answer = check_request(options(), request(60, 41));
  expect_error(long_answer, ErrorCode::kContextLengthExceeded, "max_tokens");
  for (const char* number : {"100", "60", "41"}) {
    EXPECT_NE(long_answer.error().message.find(number), std::string::npos) << number;
  }
  expect_error(check_request(options(), request(1, std::numeric_limits<int>::max())),
               ErrorCode::kContextLengthExceeded, "max_tokens");
}

TEST(CheckRequest, NoMoreThanAllPagesHold) {
  EngineOptions small = options();
  small.pages = 2;
  EXPECT_TRUE(check_request(small, request(20, 12)));
  const auto status = check_request(small, request(20, 13));
  expect_error(status, ErrorCode::kContextLengthExceeded, "max_tokens");
  EXPECT_NE(status.error().message.find("KV cache"), std::string::npos);
  expect_error(check_request(small, request(32, {})), ErrorCode::kContextLengthExceeded, "prompt");
}

struct BadCase {
  const char* param;
  std::function<void(Request&)> change;
};

void expect_refused(std::span<const BadCase> cases) {
  for (const BadCase& c : cases) {
    Request r = request(3, 4);
    ASSERT_TRUE(check_request(options(), r));
    c.change(r);
    expect_error(check_request(options(), r), ErrorCode::kInvalidRequest, c.param);
  }
}

TEST(CheckRequest, RangesNameTheField) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float inf = std::numeric_limits<float>::infinity();
  const BadCase cases[] = {
      {"prompt", [](Request& r) { r.prompt.clear(); }},
      {"prompt", [](Request& r) { r.prompt[0] = -1; }},
      {"prompt", [](Request& r) { r.prompt[0] = 1000; }},
      {"temperature", [](Request& r) { r.sampling.temperature = -0.1F; }},
      {"temperature", [](Request& r) { r.sampling.temperature = 2.1F; }},
      {"temperature", [nan](Request& r) { r.sampling.temperature = nan; }},
      {"top_p", [](Request& r) { r.sampling.top_p = 0.0F; }},
      {"top_p", [](Request& r) { r.sampling.top_p = 1.0001F; }},
      {"top_p", [nan](Request& r) { r.sampling.top_p = nan; }},
      {"min_p", [](Request& r) { r.sampling.min_p = -0.1F; }},
      {"min_p", [](Request& r) { r.sampling.min_p = 1.1F; }},
      {"top_k", [](Request& r) { r.sampling.top_k = -1; }},
      {"max_tokens", [](Request& r) { r.sampling.max_tokens = 0; }},
      {"max_tokens", [](Request& r) { r.sampling.max_tokens = -5; }},
      {"stop_token_ids", [](Request& r) { r.sampling.stop_token_ids = {1000}; }},
      {"stop_token_ids", [](Request& r) { r.sampling.stop_token_ids = {-1}; }},
      {"stop_token_ids", [](Request& r) { r.sampling.stop_token_ids.assign(65, 1); }},
      {"typical_p", [](Request& r) { r.sampling.typical_p = 0.0F; }},
      {"typical_p", [](Request& r) { r.sampling.typical_p = 1.1F; }},
      {"typical_p", [nan](Request& r) { r.sampling.typical_p = nan; }},
      {"top_n_sigma", [](Request& r) { r.sampling.top_n_sigma = -0.1F; }},
      {"top_n_sigma", [inf](Request& r) { r.sampling.top_n_sigma = inf; }},
      {"top_n_sigma", [nan](Request& r) { r.sampling.top_n_sigma = nan; }},
      {"repetition_penalty", [](Request& r) { r.sampling.repetition_penalty = 0.0F; }},
      {"repetition_penalty", [](Request& r) { r.sampling.repetition_penalty = -1.0F; }},
      {"repetition_penalty", [](Request& r) { r.sampling.repetition_penalty = 10.1F; }},
      {"repetition_penalty", [inf](Request& r) { r.sampling.repetition_penalty = inf; }},
      {"repetition_penalty", [nan](Request& r) { r.sampling.repetition_penalty = nan; }},
      {"presence_penalty", [](Request& r) { r.sampling.presence_penalty = -2.1F; }},
      {"presence_penalty", [](Request& r) { r.sampling.presence_penalty = 2.1F; }},
      {"presence_penalty", [nan](Request& r) { r.sampling.presence_penalty = nan; }},
      {"frequency_penalty", [](Request& r) { r.sampling.frequency_penalty = -2.1F; }},
      {"frequency_penalty", [](Request& r) { r.sampling.frequency_penalty = 2.1F; }},
      {"frequency_penalty", [nan](Request& r) { r.sampling.frequency_penalty = nan; }},
      {"dry_multiplier", [](Request& r) { r.sampling.dry.multiplier = -0.1F; }},
      {"dry_multiplier", [](Request& r) { r.sampling.dry.multiplier = 100.1F; }},
      {"dry_multiplier", [nan](Request& r) { r.sampling.dry.multiplier = nan; }},
      {"dry_base", [](Request& r) { r.sampling.dry.base = 0.9F; }},
      {"dry_base", [](Request& r) { r.sampling.dry.base = 10.1F; }},
      {"dry_base", [nan](Request& r) { r.sampling.dry.base = nan; }},
      {"dry_allowed_length", [](Request& r) { r.sampling.dry.allowed_length = 0; }},
      {"dry_penalty_last_n", [](Request& r) { r.sampling.dry.range = -1; }},
      {"dry_sequence_breakers", [](Request& r) { r.sampling.dry.sequence_breakers = {1000}; }},
      {"dry_sequence_breakers",
       [](Request& r) { r.sampling.dry.sequence_breakers.assign(1025, 1); }},
      {"xtc_probability", [](Request& r) { r.sampling.xtc.probability = -0.1F; }},
      {"xtc_probability", [](Request& r) { r.sampling.xtc.probability = 1.1F; }},
      {"xtc_probability", [nan](Request& r) { r.sampling.xtc.probability = nan; }},
      {"xtc_threshold", [](Request& r) { r.sampling.xtc.threshold = -0.1F; }},
      {"xtc_threshold", [](Request& r) { r.sampling.xtc.threshold = 0.6F; }},
      {"xtc_threshold", [nan](Request& r) { r.sampling.xtc.threshold = nan; }},
  };
  expect_refused(cases);
}

TEST(CheckRequest, ListsNameTheField) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const BadCase cases[] = {
      {"logit_bias", [](Request& r) { r.sampling.logit_bias = {{1000, 1.0F}}; }},
      {"logit_bias", [](Request& r) { r.sampling.logit_bias = {{-1, 1.0F}}; }},
      {"logit_bias", [](Request& r) { r.sampling.logit_bias = {{5, 100.5F}}; }},
      {"logit_bias", [nan](Request& r) { r.sampling.logit_bias = {{5, nan}}; }},
      {"logit_bias", [](Request& r) { r.sampling.logit_bias.assign(1025, {5, 1.0F}); }},
      {"bad_words", [](Request& r) { r.sampling.bad_words = {{5}, {}}; }},
      {"bad_words", [](Request& r) { r.sampling.bad_words = {{5, 1000}}; }},
      {"bad_words", [](Request& r) { r.sampling.bad_words.assign(1025, {5}); }},
      {"bad_words", [](Request& r) { r.sampling.bad_words = {std::vector<TokenId>(65, 5)}; }},
      {"allowed_token_ids", [](Request& r) { r.sampling.allowed_token_ids = {1000}; }},
      {"allowed_token_ids", [](Request& r) { r.sampling.allowed_token_ids.assign(1001, 1); }},
      {"suppress_tokens", [](Request& r) { r.sampling.suppress_tokens = {-1}; }},
      {"min_tokens", [](Request& r) { r.sampling.min_tokens = -1; }},
      {"min_tokens", [](Request& r) { r.sampling.min_tokens = 5; }},
      {"n", [](Request& r) { r.sampling.n = 0; }},
      {"n", [](Request& r) { r.sampling.n = 129; }},
      {"logprobs", [](Request& r) { r.sampling.logprobs = -1; }},
      {"logprobs", [](Request& r) { r.sampling.logprobs = 21; }},
      {"logprob_token_ids", [](Request& r) { r.sampling.logprob_token_ids = {5}; }},
      {"logprob_token_ids",
       [](Request& r) {
         r.sampling.logprobs = 0;
         r.sampling.logprob_token_ids = {1000};
       }},
      {"logprob_token_ids",
       [](Request& r) {
         r.sampling.logprobs = 0;
         r.sampling.logprob_token_ids.assign(129, 5);
       }},
      {"prompt_logprobs", [](Request& r) { r.sampling.prompt_logprobs = -1; }},
      {"prompt_logprobs", [](Request& r) { r.sampling.prompt_logprobs = 21; }},
      {"speculative_tokens", [](Request& r) { r.sampling.speculative_tokens = -1; }},
      {"speculative_tokens", [](Request& r) { r.sampling.speculative_tokens = 17; }},
      {"thinking_token_budget", [](Request& r) { r.sampling.thinking = {-1, 5, 6, false}; }},
      {"thinking_token_budget", [](Request& r) { r.sampling.thinking = {3, 1000, 6, false}; }},
      {"thinking_token_budget", [](Request& r) { r.sampling.thinking = {3, 5, -1, false}; }},
  };
  expect_refused(cases);
}

TEST(CheckRequest, EdgesAreIn) {
  Request r = request(3, 4);
  r.prompt = {0, 999};
  r.sampling.temperature = 2.0F;
  r.sampling.top_p = 1e-30F;
  r.sampling.min_p = 1.0F;
  r.sampling.top_k = std::numeric_limits<int>::max();
  r.sampling.stop_token_ids.assign(64, 999);
  r.sampling.typical_p = 1e-30F;
  r.sampling.top_n_sigma = std::numeric_limits<float>::max();
  r.sampling.repetition_penalty = 1e-30F;
  r.sampling.presence_penalty = -2.0F;
  r.sampling.frequency_penalty = 2.0F;
  r.sampling.dry = {100.0F, 10.0F, std::numeric_limits<int>::max(), 0, {0, 999}};
  r.sampling.xtc = {1.0F, 0.5F};
  r.sampling.logit_bias.assign(1024, {999, -100.0F});
  r.sampling.bad_words.assign(1024, std::vector<TokenId>(64, 0));
  r.sampling.allowed_token_ids.assign(1000, 0);
  r.sampling.suppress_tokens.assign(1000, 999);
  r.sampling.min_tokens = 4;
  r.sampling.n = 128;
  r.sampling.logprobs = 20;
  r.sampling.prompt_logprobs = 0;
  r.sampling.speculative_tokens = 16;
  r.sampling.thinking = ThinkingBudget{0, -1, 999, true};
  EXPECT_TRUE(check_request(options(), r));
  r.sampling.temperature = 0.0F;  // with n > 1
  EXPECT_TRUE(check_request(options(), r));
}

TEST(CheckOptions, NamesWhatIsWrong) {
  EXPECT_TRUE(check_options(options()));
  int EngineOptions::* const fields[] = {&EngineOptions::max_concurrent_decodes,
                                         &EngineOptions::max_concurrent_prefill,
                                         &EngineOptions::max_batched_tokens,
                                         &EngineOptions::context_max,
                                         &EngineOptions::page_size,
                                         &EngineOptions::pages,
                                         &EngineOptions::vocabulary};
  for (const auto field : fields) {
    EngineOptions wrong = options();
    wrong.*field = 0;
    expect_error(check_options(wrong), ErrorCode::kUsage, "");
  }
  EngineOptions tiny = options();
  tiny.pages = 1;
  tiny.page_size = 1;
  expect_error(check_options(tiny), ErrorCode::kUsage, "");
}

}  // namespace
}  // namespace vsurge::engine
