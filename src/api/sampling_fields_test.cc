// The fields of sampling and choices: what is taken, what is refused and by which name.
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <span>

#include "api/requests_fixture.h"

namespace vsurge::api {
namespace {

namespace json = boost::json;
using testing::chat;
using testing::context;
using testing::expect_in_both;
using testing::kEndpoints;
using testing::Row;
using testing::Verdict;
using testing::verdict;
using testing::with;

TEST(SamplingFields, NumbersAtAndPastTheirEnds) {
  const Row rows[] = {
      {R"("typical_p":1)", ""},
      {R"("typical_p":0)", "invalid_value", "typical_p"},
      {R"("typical_p":1.1)", "invalid_value", "typical_p"},
      {R"("top_n_sigma":-1)", ""},
      {R"("top_n_sigma":-1.1)", "invalid_value", "top_n_sigma"},
      {R"("top_n_sigma":"1")", "invalid_type", "top_n_sigma"},
      {R"("xtc_probability":1,"xtc_threshold":0.5)", ""},
      {R"("xtc_probability":1.1)", "invalid_value", "xtc_probability"},
      {R"("xtc_threshold":0.51)", "invalid_value", "xtc_threshold"},
      {R"("xtc_threshold":[])", "invalid_type", "xtc_threshold"},
      {R"("repetition_penalty":10)", ""},
      {R"("repetition_penalty":0)", "invalid_value", "repetition_penalty"},
      {R"("repeat_penalty":10.5)", "invalid_value", "repeat_penalty"},
      {R"("repetition_penalty":1.1,"repeat_penalty":1.1)", ""},
      {R"("repetition_penalty":1.1,"repeat_penalty":1.2)", "invalid_value", "repeat_penalty"},
      {R"("frequency_penalty":-2,"presence_penalty":2)", ""},
      {R"("frequency_penalty":-2.01)", "invalid_value", "frequency_penalty"},
      {R"("presence_penalty":2.01)", "invalid_value", "presence_penalty"},
      {R"("presence_penalty":true)", "invalid_type", "presence_penalty"},
      {R"("dry_multiplier":100,"dry_base":1,"dry_allowed_length":1,"dry_penalty_last_n":-1)", ""},
      {R"("dry_multiplier":-0.1)", "invalid_value", "dry_multiplier"},
      {R"("dry_base":0.9)", "invalid_value", "dry_base"},
      {R"("dry_allowed_length":0)", "invalid_value", "dry_allowed_length"},
      {R"("dry_penalty_last_n":-2)", "invalid_value", "dry_penalty_last_n"},
      {R"("dry_penalty_last_n":1.5)", "invalid_type", "dry_penalty_last_n"},
      {R"("dry_sequence_breakers":["a","\n"])", ""},
      {R"("dry_sequence_breakers":[])", ""},
      {R"("dry_sequence_breakers":[1])", "invalid_type", "dry_sequence_breakers[0]"},
      {R"("dry_sequence_breakers":[""])", "invalid_value", "dry_sequence_breakers[0]"},
  };
  expect_in_both(rows);
}

TEST(SamplingFields, TokensAndWords) {
  const Row rows[] = {
      {R"("logit_bias":{"0":-100,"999":100})", ""},
      {R"("logit_bias":{"1000":1})", "invalid_value", "logit_bias"},
      {R"("logit_bias":{"-1":1})", "invalid_value", "logit_bias"},
      {R"("logit_bias":{"01":1})", "invalid_value", "logit_bias"},
      {R"("logit_bias":{"1x":1})", "invalid_value", "logit_bias"},
      {R"("logit_bias":{"":1})", "invalid_value", "logit_bias"},
      {R"("logit_bias":{"99999999999999999999":1})", "invalid_value", "logit_bias"},
      {R"("logit_bias":{"5":100.1})", "invalid_value", "logit_bias.5"},
      {R"("logit_bias":{"5":"1"})", "invalid_type", "logit_bias.5"},
      {R"("logit_bias":{"5":null})", "invalid_type", "logit_bias.5"},
      {R"("logit_bias":[[5,1]])", "invalid_type", "logit_bias"},
      {R"("allowed_token_ids":[0,999])", ""},
      {R"("allowed_token_ids":[])", "invalid_value", "allowed_token_ids"},
      {R"("allowed_token_ids":[1000])", "invalid_value", "allowed_token_ids[0]"},
      {R"("allowed_token_ids":5)", "invalid_type", "allowed_token_ids"},
      {R"("suppress_tokens":[])", ""},
      {R"("suppress_tokens":[0,-1])", "invalid_value", "suppress_tokens[1]"},
      {R"("suppress_tokens":["a"])", "invalid_type", "suppress_tokens[0]"},
      {R"("stop_token_ids":[1,2])", ""},
      {R"("stop_token_ids":[1000])", "invalid_value", "stop_token_ids[0]"},
      {R"("bad_words":"x")", ""},
      {R"("bad_words":["x",""])", "invalid_value", "bad_words[1]"},
      {R"("bad_words":[[1]])", "invalid_type", "bad_words[0]"},
      {R"("min_tokens":0)", ""},
      {R"("min_tokens":-1)", "invalid_value", "min_tokens"},
      {R"("ignore_eos":1)", "invalid_type", "ignore_eos"},
      {R"("thinking_token_budget":0)", ""},
      {R"("thinking_token_budget":-1)", "invalid_value", "thinking_token_budget"},
      {R"("speculative_tokens":4)", ""},
      {R"("speculative_tokens":5)", "unsupported_value", "speculative_tokens"},
      {R"("speculative_tokens":17)", "invalid_value", "speculative_tokens"},
  };
  expect_in_both(rows);
}

TEST(SamplingFields, ChoicesAtAndPastTheirEnds) {
  const Row rows[] = {
      {R"("n":128)", ""},
      {R"("n":0)", "invalid_value", "n"},
      {R"("n":129)", "invalid_value", "n"},
      {R"("n":1.5)", "invalid_type", "n"},
      {R"("n":2,"best_of":3)", ""},
      {R"("n":3,"best_of":2)", "invalid_value", "best_of"},
      {R"("best_of":129)", "invalid_value", "best_of"},
      {R"("n":2,"best_of":2,"stream":true)", ""},
      {R"("n":2,"best_of":3,"stream":true)", "invalid_value", "best_of"},
      {R"("n":2,"use_beam_search":true,"length_penalty":-10,"early_stopping":"never")", ""},
      {R"("best_of":2,"use_beam_search":true,"early_stopping":true,"stream":true)", "invalid_value",
       "best_of"},
      {R"("use_beam_search":true)", "invalid_value", "use_beam_search"},
      {R"("use_beam_search":1)", "invalid_type", "use_beam_search"},
      {R"("length_penalty":1,"early_stopping":false)", ""},
      {R"("length_penalty":0.5)", "invalid_value", "length_penalty"},
      {R"("n":2,"use_beam_search":true,"length_penalty":10.5)", "invalid_value", "length_penalty"},
      {R"("early_stopping":true)", "invalid_value", "early_stopping"},
      {R"("n":2,"use_beam_search":true,"early_stopping":"now")", "invalid_value", "early_stopping"},
      {R"("n":2,"use_beam_search":true,"early_stopping":1)", "invalid_type", "early_stopping"},
      {R"("prompt_logprobs":20)", ""},
      {R"("prompt_logprobs":21)", "invalid_value", "prompt_logprobs"},
      {R"("prompt_logprobs":0,"stream":true)", "invalid_value", "prompt_logprobs"},
      {R"("return_token_ids":true,"return_tokens_as_token_ids":true)", ""},
      {R"("return_token_ids":"yes")", "invalid_type", "return_token_ids"},
      {R"("return_tokens_as_token_ids":0)", "invalid_type", "return_tokens_as_token_ids"},
      {R"("skip_special_tokens":"no")", "invalid_type", "skip_special_tokens"},
      {R"("include_stop_str_in_output":0)", "invalid_type", "include_stop_str_in_output"},
      {R"("no_stop_trim":0)", "invalid_type", "no_stop_trim"},
      {R"("priority":-2147483648)", ""},
      {R"("priority":2147483648)", "invalid_value", "priority"},
      {R"("cache_salt":"x")", ""},
      {R"("cache_salt":"")", "invalid_value", "cache_salt"},
      {R"("cache_salt":7)", "invalid_type", "cache_salt"},
      {R"("timeout":0.001)", ""},
      {R"("timeout":86400)", ""},
      {R"("timeout":0)", "invalid_value", "timeout"},
      {R"("timeout":86400.5)", "invalid_value", "timeout"},
      {R"("timeout":"1")", "invalid_type", "timeout"},
      {R"("stream":true,"stream_options":{"continuous_usage_stats":1})", "invalid_type",
       "stream_options.continuous_usage_stats"},
  };
  expect_in_both(rows);
}

TEST(SamplingFields, LogprobsOfEachEndpoint) {
  const Row of_chat[] = {
      {R"("logprobs":true,"top_logprobs":20)", ""},
      {R"("logprobs":false,"top_logprobs":0)", ""},
      {R"("logprobs":1)", "invalid_type", "logprobs"},
      {R"("top_logprobs":1)", "invalid_value", "top_logprobs"},
      {R"("logprobs":false,"top_logprobs":1)", "invalid_value", "top_logprobs"},
      {R"("logprobs":true,"top_logprobs":21)", "invalid_value", "top_logprobs"},
      {R"("logprobs":true,"top_logprobs":1,"logprob_token_ids":[0,999,0])", ""},
      {R"("logprob_token_ids":[])", ""},
      {R"("logprob_token_ids":[5])", "invalid_value", "logprob_token_ids"},
      {R"("logprobs":false,"logprob_token_ids":[5])", "invalid_value", "logprob_token_ids"},
      {R"("logprobs":true,"logprob_token_ids":[1000])", "invalid_value", "logprob_token_ids[0]"},
      {R"("logprobs":true,"logprob_token_ids":5)", "invalid_type", "logprob_token_ids"},
      {R"("echo":true)", "unsupported_value", "echo"},
  };
  for (const Row& row : of_chat) {
    EXPECT_EQ(chat(row.members), (Verdict{std::string(row.code), std::string(row.param)}))
        << row.members;
  }
  const Row of_completions[] = {
      {R"("logprobs":0)", ""},
      {R"("logprobs":20)", ""},
      {R"("logprobs":21)", "invalid_value", "logprobs"},
      {R"("logprobs":true)", "invalid_type", "logprobs"},
      {R"("echo":true,"max_tokens":0)", ""},
      {R"("echo":false,"max_tokens":0)", "invalid_value", "max_tokens"},
      {R"("echo":1)", "invalid_type", "echo"},
      {R"("top_logprobs":1)", "unknown_parameter", "top_logprobs"},
  };
  for (const Row& row : of_completions) {
    EXPECT_EQ(verdict(Endpoint::kCompletions, row.members),
              (Verdict{std::string(row.code), std::string(row.param)}))
        << row.members;
  }
}

TEST(SamplingFields, ValuesOfSampling) {
  const auto read = [&](std::string_view members) {
    return read_completion_request(json::parse(with(Endpoint::kCompletions, members)), context())
        .value()
        .generation;
  };
  const auto s = read(R"("typical_p":0.5,"top_n_sigma":1.5,"xtc_probability":0.25,
      "xtc_threshold":0.2,"repeat_penalty":1.5,"frequency_penalty":0.5,"presence_penalty":-0.5,
      "dry_multiplier":0.75,"dry_base":2,"dry_allowed_length":3,"dry_penalty_last_n":64,
      "dry_sequence_breakers":["x"],"logit_bias":{"5":-1.5},"allowed_token_ids":[1,2],
      "suppress_tokens":[3],"stop_token_ids":[4],"bad_words":["w"],"min_tokens":6,
      "ignore_eos":true,"thinking_token_budget":7,"speculative_tokens":2,"cache_salt":"c",
      "priority":-3,"timeout":1.5,"skip_special_tokens":false,"echo":true,"logprobs":3,
      "prompt_logprobs":1,"return_token_ids":true,"return_tokens_as_token_ids":true,
      "no_stop_trim":true,"n":2,"best_of":4)");
  EXPECT_EQ(s.sampling.typical_p, 0.5F);
  EXPECT_EQ(s.sampling.top_n_sigma, 1.5F);
  EXPECT_EQ(s.sampling.xtc.probability, 0.25F);
  EXPECT_EQ(s.sampling.xtc.threshold, 0.2F);
  EXPECT_EQ(s.sampling.repetition_penalty, 1.5F);
  EXPECT_EQ(s.sampling.frequency_penalty, 0.5F);
  EXPECT_EQ(s.sampling.presence_penalty, -0.5F);
  EXPECT_EQ(s.sampling.dry.multiplier, 0.75F);
  EXPECT_EQ(s.sampling.dry.base, 2.0F);
  EXPECT_EQ(s.sampling.dry.allowed_length, 3);
  EXPECT_EQ(s.sampling.dry.range, 64);
  EXPECT_EQ(s.texts.dry_breakers, (std::vector<std::string>{"x"}));
  EXPECT_EQ(s.sampling.logit_bias.at(0), (std::pair{engine::TokenId{5}, -1.5F}));
  EXPECT_EQ(s.sampling.allowed_token_ids, (std::vector<engine::TokenId>{1, 2}));
  EXPECT_EQ(s.sampling.suppress_tokens, (std::vector<engine::TokenId>{3}));
  EXPECT_EQ(s.sampling.stop_token_ids, (std::vector<engine::TokenId>{4}));
  EXPECT_EQ(s.texts.bad_words, (std::vector<std::string>{"w"}));
  EXPECT_EQ(s.sampling.min_tokens, 6);
  EXPECT_TRUE(s.sampling.ignore_eos);
  EXPECT_EQ(s.texts.thinking_tokens, 7);
  EXPECT_EQ(s.sampling.speculative_tokens, 2);
  EXPECT_EQ(s.cache_salt, std::string("c") + '\0');
  EXPECT_EQ(s.priority, -3);
  EXPECT_EQ(s.timeout_seconds, 1.5);
  EXPECT_FALSE(s.skip_special);
  EXPECT_TRUE(s.echo && s.return_token_ids && s.tokens_as_ids && s.include_stop);
  EXPECT_EQ(s.logprobs, 3);
  EXPECT_EQ(s.prompt_logprobs, 1);
  EXPECT_EQ(s.sampling.logprobs, 3);
  EXPECT_EQ(s.sampling.prompt_logprobs, 3);  // the echo tells as many
  EXPECT_EQ(s.choices, 2);
  EXPECT_EQ(s.sampling.n, 4);
  EXPECT_EQ(read(R"("best_of":2)").sampling.logprobs, 0);  // to rank them
  EXPECT_EQ(read("").sampling.speculative_tokens, 4);
  EXPECT_EQ(read(R"("dry_multiplier":1,"dry_penalty_last_n":0)").sampling.dry.multiplier, 0.0F);
}

TEST(SamplingFields, BeamSearchHasDefaultsOfItsOwn) {
  RequestContext defaults = context();
  defaults.sampling = {
      .temperature = 0.6F, .top_p = 0.9F, .min_p = 0.1F, .top_k = 20, .repetition_penalty = 1.1F};
  const auto value = json::parse(with(
      Endpoint::kChat,
      R"("use_beam_search":true,"n":2,"best_of":3,"length_penalty":0.5,"early_stopping":"never")"));
  const auto s = read_chat_request(value, defaults).value().generation.sampling;
  EXPECT_EQ(s.beam.width, 3);
  EXPECT_EQ(s.n, 2);
  EXPECT_EQ(s.beam.length_penalty, 0.5F);
  EXPECT_EQ(s.beam.early_stopping, engine::BeamStop::kNever);
  EXPECT_EQ(s.temperature, 1.0F);
  EXPECT_EQ(s.top_p, 1.0F);
  EXPECT_EQ(s.min_p, 0.0F);
  EXPECT_EQ(s.top_k, 0);
  EXPECT_EQ(s.repetition_penalty, 1.0F);
  EXPECT_EQ(s.speculative_tokens, 0);
  EXPECT_FALSE(s.logprobs);
}

}  // namespace
}  // namespace vsurge::api
