// The public API on the default model, from file to text.

#include "vsurge/surge.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <set>

#include "base/test_data.h"
#include "vsurge/vsurge.h"

namespace vsurge {
namespace {

// One engine for all tests of this program: loading is the slow part.
class Surge : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    const auto path = base::default_model_path();
    if (!path) return;
    processor_ = std::make_unique<AutoTokenizer>(AutoTokenizer::from_pretrained(path->string()));
    model_ = std::make_unique<AutoModelForCausalLM>(
        AutoModelForCausalLM::from_pretrained(path->string(), {.verbose = false}));
    surge_ = std::make_unique<vSurge>(vSurge::from_model(
        *model_, *processor_,
        {.max_concurrent_decodes = 8, .max_length = 1024, .verbose = false, .seed = 877}));
  }
  static void TearDownTestSuite() {
    surge_.reset();
    model_.reset();
    processor_.reset();
  }
  void SetUp() override {
    if (surge_ == nullptr) GTEST_SKIP() << "no default model: ./dev setup fetches it";
  }

  static std::string question(const std::string& text) {
    return processor_->apply_chat_template({{"user", text}});
  }
  static SamplingParams greedy(int max_tokens) {
    SamplingParams sampling;
    sampling.temperature = 0;
    sampling.max_tokens = max_tokens;
    return sampling;
  }

  static std::unique_ptr<AutoTokenizer> processor_;
  static std::unique_ptr<AutoModelForCausalLM> model_;
  static std::unique_ptr<vSurge> surge_;
};

std::unique_ptr<AutoTokenizer> Surge::processor_;
std::unique_ptr<AutoModelForCausalLM> Surge::model_;
std::unique_ptr<vSurge> Surge::surge_;

TEST_F(Surge, KnowsTheCapitalOfFrance) {
  const ReturnSample sample =
      surge_->generate(question("What is the capital of France?"), greedy(32));
  EXPECT_NE(sample.accumulated_text.find("Paris"), std::string::npos) << sample.accumulated_text;
  EXPECT_EQ(sample.finish_reason, "stop");
  EXPECT_EQ(sample.text, sample.accumulated_text);
}

TEST_F(Surge, AnswersDoNotDependOnCompany) {
  std::vector<std::string> prompts;
  for (int i = 0; i < 12; ++i) {
    prompts.push_back(
        question("Tell me " + std::to_string(i) + std::string(i * 7, '!') + " facts"));
  }
  SamplingParams sampling = greedy(24);
  sampling.temperature = 0.8F;
  sampling.seed = 5;
  const auto together = surge_->generate(prompts, sampling);
  for (std::size_t i = 0; i < prompts.size(); i += 3) {
    EXPECT_EQ(surge_->generate(prompts[i], sampling).token_ids, together[i].token_ids) << i;
  }
  EXPECT_EQ(surge_->metrics().pages_used, 0);
}

TEST_F(Surge, PiecesAddUpToTheAnswer) {
  std::string pieces;
  int calls = 0;
  const ReturnSample sample = surge_->generate(question("Write a poem with emoji."), greedy(64),
                                               [&](std::size_t, const ReturnSample& piece) {
                                                 pieces += piece.text;
                                                 ++calls;
                                                 return true;
                                               });
  EXPECT_EQ(pieces, sample.accumulated_text);
  EXPECT_GT(calls, 10);
  EXPECT_EQ(sample.num_generated_tokens, static_cast<int>(sample.token_ids.size()));
}

TEST_F(Surge, StopStringsEndTheAnswerAndDoNotLeak) {
  SamplingParams sampling = greedy(64);
  sampling.stop = {"Paris"};
  const ReturnSample sample =
      surge_->generate(question("What is the capital of France?"), sampling);
  EXPECT_EQ(sample.finish_reason, "stop");
  EXPECT_EQ(sample.accumulated_text.find("Pa"), std::string::npos) << sample.accumulated_text;
}

TEST_F(Surge, SeveralAnswersToEachPrompt) {
  SamplingParams sampling = greedy(12);
  sampling.temperature = 1;
  sampling.seed = 3;
  const std::vector<std::string> prompts = {"Once upon a time", "The sea is"};
  sampling.n = 3;
  const auto samples = surge_->generate(prompts, sampling);
  sampling.n = 1;
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    const auto& outputs = samples[i].outputs;
    ASSERT_EQ(outputs.size(), 3U);
    EXPECT_EQ(outputs[0].text, samples[i].text);
    EXPECT_EQ(outputs[0].token_ids, samples[i].token_ids);
    EXPECT_EQ(outputs[0].text, surge_->generate(prompts[i], sampling).text);
    EXPECT_NE(outputs[0].token_ids, outputs[1].token_ids);
    EXPECT_NE(outputs[1].token_ids, outputs[2].token_ids);
    for (int k = 0; k < 3; ++k) EXPECT_EQ(outputs[static_cast<std::size_t>(k)].index, k);
  }
  EXPECT_EQ(surge_->metrics().pages_used, 0);
}

TEST_F(Surge, PiecesOfSeveralAnswersAddUp) {
  SamplingParams sampling = greedy(12);
  sampling.temperature = 1;
  sampling.seed = 3;
  sampling.n = 2;
  std::vector<std::string> pieces(2);
  const ReturnSample sample =
      surge_->generate("Once upon a time", sampling, [&](std::size_t, const ReturnSample& piece) {
        pieces[static_cast<std::size_t>(piece.generation_idx)] += piece.text;
        return true;
      });
  EXPECT_EQ(pieces[0], sample.outputs[0].text);
  EXPECT_EQ(pieces[1], sample.outputs[1].text);
  const ReturnSample cancelled = surge_->generate(
      "Once upon a time", sampling, [](std::size_t, const ReturnSample&) { return false; });
  for (const auto& output : cancelled.outputs) EXPECT_EQ(output.finish_reason, "cancelled");
  EXPECT_EQ(surge_->metrics().pages_used, 0);
}

TEST_F(Surge, BestOfComesInOrderOfLogprobPerToken) {
  SamplingParams sampling = greedy(8);
  sampling.temperature = 1.2F;
  sampling.seed = 5;
  sampling.ignore_eos = true;
  sampling.n = 6;
  sampling.logprobs = 0;
  auto all = surge_->generate("The best of all is", sampling).outputs;
  std::ranges::sort(all, std::ranges::greater{}, &CompletionOutput::cumulative_logprob);
  sampling.n = 2;
  sampling.best_of = 6;
  sampling.logprobs.reset();
  const auto best = surge_->generate("The best of all is", sampling).outputs;
  ASSERT_EQ(best.size(), 2U);
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(best[i].token_ids, all[i].token_ids);
    EXPECT_EQ(best[i].cumulative_logprob, all[i].cumulative_logprob);
    EXPECT_TRUE(best[i].logprobs.empty());
  }
}

TEST_F(Surge, LogprobsOfPromptAndAnswer) {
  SamplingParams sampling = greedy(6);
  sampling.logprobs = 2;
  sampling.prompt_logprobs = 1;
  const ReturnSample sample = surge_->generate("The capital of France is", sampling);
  const auto& logprobs = sample.outputs[0].logprobs;
  ASSERT_EQ(logprobs.size(), 6U);
  std::string text;
  double sum = 0;
  for (std::size_t i = 0; i < logprobs.size(); ++i) {
    text += logprobs[i].token.decoded_token;
    sum += static_cast<double>(logprobs[i].token.logprob);
    EXPECT_EQ(logprobs[i].token.token_id, sample.token_ids[i]);
    EXPECT_EQ(logprobs[i].token.rank, 1);
    ASSERT_EQ(logprobs[i].top.size(), 2U);
    EXPECT_EQ(logprobs[i].top[0].token_id, sample.token_ids[i]);
    EXPECT_GE(logprobs[i].top[0].logprob, logprobs[i].top[1].logprob);
  }
  EXPECT_EQ(text, sample.text);
  EXPECT_NEAR(sample.outputs[0].cumulative_logprob, sum, 1e-9);
  ASSERT_EQ(sample.prompt_logprobs.size(), static_cast<std::size_t>(sample.prompt_tokens) - 1);
  EXPECT_EQ(sample.prompt_logprobs.back().token.decoded_token, " is");

  sampling.logprob_token_ids = {sample.token_ids[1], sample.token_ids[0]};
  const ReturnSample named = surge_->generate("The capital of France is", sampling);
  EXPECT_EQ(named.token_ids, sample.token_ids);
  const auto& first = named.outputs[0].logprobs[0];
  ASSERT_EQ(first.top.size(), 2U);
  EXPECT_EQ(first.top[0].token_id, sample.token_ids[1]);
  EXPECT_EQ(first.top[1].token_id, sample.token_ids[0]);
  EXPECT_EQ(first.top[1].logprob, first.token.logprob);
  EXPECT_EQ(first.top[1].rank, 0);
}

TEST_F(Surge, WhatStoppedAnAnswer) {
  SamplingParams sampling = greedy(32);
  const std::string prompt = question("What is the capital of France?");
  EXPECT_EQ(surge_->generate(prompt, sampling).outputs[0].stop_reason.index(), 0U);
  sampling.stop = {"Paris"};
  sampling.include_stop_str_in_output = true;
  const auto text = surge_->generate(prompt, sampling).outputs[0];
  EXPECT_EQ(std::get<std::string>(text.stop_reason), "Paris");
  EXPECT_TRUE(text.text.ends_with("Paris")) << text.text;
  sampling.stop.clear();
  const std::int32_t dot = processor_->encode(".").back();
  sampling.stop_token_ids = {dot};
  const auto token = surge_->generate(prompt, sampling).outputs[0];
  EXPECT_EQ(std::get<std::int32_t>(token.stop_reason), dot);
  EXPECT_EQ(token.token_ids.back(), dot);
}

TEST_F(Surge, WordsBecomeTokens) {
  SamplingParams sampling = greedy(8);
  const std::string plain = surge_->generate("The capital of France is", sampling).text;
  ASSERT_NE(plain.find("Paris"), std::string::npos) << plain;
  sampling.bad_words = {"Paris"};
  EXPECT_EQ(surge_->generate("The capital of France is", sampling).text.find(" Paris"),
            std::string::npos);
  sampling = greedy(40);
  sampling.ignore_eos = true;
  const std::string loop = "one two one two one two one two one two";
  const auto repeats = [&] {
    const auto ids = surge_->generate(loop, sampling).token_ids;
    return ids.size() - std::set(ids.begin(), ids.end()).size();
  };
  const std::size_t before = repeats();
  sampling.dry_multiplier = 5;
  EXPECT_LT(repeats(), before);
  sampling.dry_sequence_breakers = {" one", " two"};
  EXPECT_EQ(repeats(), before);
}

TEST_F(Surge, NamesTheParameterThatIsWrong) {
  const auto refused = [&](const std::function<void(SamplingParams&)>& change) {
    SamplingParams sampling = greedy(4);
    change(sampling);
    try {
      surge_->generate("a", sampling);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  using P = SamplingParams;
  const std::pair<const char*, std::function<void(P&)>> rows[] = {
      {"temperature", [](P& p) { p.temperature = -1; }},
      {"top_p", [](P& p) { p.top_p = 0; }},
      {"top_k", [](P& p) { p.top_k = -2; }},
      {"typical_p", [](P& p) { p.typical_p = 2; }},
      {"n", [](P& p) { p.n = 0; }},
      {"best_of", [](P& p) { p.n = 3, p.best_of = 2; }},
      {"stop", [](P& p) { p.stop = {""}; }},
      {"bad_words", [](P& p) { p.bad_words = {""}; }},
      {"logit_bias", [](P& p) { p.logit_bias[1 << 30] = 1; }},
      {"logprobs", [](P& p) { p.logprobs = 21; }},
      {"logprob_token_ids", [](P& p) { p.logprob_token_ids = {5}; }},
      {"min_tokens", [](P& p) { p.min_tokens = 5; }},
      {"dry_penalty_last_n", [](P& p) { p.dry_penalty_last_n = -2; }},
      {"use_beam_search", [](P& p) { p.use_beam_search = true; }},
      {"speculative_tokens", [](P& p) { p.speculative_tokens = 17; }},
      {"timeout", [](P& p) { p.timeout = 0.0; }},
      {"thinking_token_budget", [](P& p) { p.thinking_token_budget = 3; }},
  };
  for (const auto& [name, change] : rows) {
    EXPECT_TRUE(refused(change).starts_with(std::string(name) + ":")) << name << refused(change);
  }
  EXPECT_EQ(refused([](P& p) { p.top_k = -1; }), "");
}

TEST_F(Surge, CallersMayCancel) {
  SamplingParams sampling = greedy(512);
  sampling.ignore_eos = true;
  const ReturnSample sample = surge_->generate(
      "Once", sampling,
      [](std::size_t, const ReturnSample& piece) { return piece.num_generated_tokens < 5; });
  EXPECT_EQ(sample.finish_reason, "cancelled");
  EXPECT_LT(sample.num_generated_tokens, 20);
  EXPECT_EQ(surge_->metrics().pages_used, 0);
}

TEST_F(Surge, RefusesWhatCannotBeServed) {
  SamplingParams sampling;
  sampling.temperature = 3;
  EXPECT_THROW(surge_->generate("a", sampling), Error);
  using Ids = std::vector<std::int32_t>;
  EXPECT_THROW(surge_->generate(std::vector<Ids>{Ids{}}), Error);
  EXPECT_THROW(surge_->generate(std::vector<Ids>{Ids{1 << 30}}), Error);
  try {
    surge_->generate(std::vector<Ids>{Ids(2000, 5)}, greedy(1));
    FAIL() << "a prompt beyond the context was taken";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), "context_length_exceeded");
  }
  EXPECT_THROW(vSurge::from_model(*model_, *processor_), Error);  // has an engine already
  EXPECT_EQ(surge_->metrics().pages_used, 0);
}

TEST_F(Surge, CountsTokensAsThePromptHasThem) {
  EXPECT_EQ(surge_->count_tokens("Hello"), static_cast<int>(processor_->encode("Hello").size()));
  EXPECT_GT(surge_->count_tokens(std::vector<ChatMessage>{{"user", "Hello"}}), 5);
}

TEST_F(Surge, PausesAndGoesOn) {
  surge_->pause();
  surge_->resume();
  EXPECT_EQ(surge_->generate("Hello", greedy(4)).num_generated_tokens, 4);
}

TEST_F(Surge, PromptsThatAreStillReadCanBeCancelled) {
  surge_->pause();  // nothing will come
  const ReturnSample sample =
      surge_->generate("Once", greedy(4), [](std::size_t, const ReturnSample& piece) {
        EXPECT_TRUE(piece.text.empty());
        surge_->resume();
        return false;
      });
  EXPECT_EQ(sample.finish_reason, "cancelled");
  EXPECT_EQ(sample.num_generated_tokens, 0);
}

TEST_F(Surge, StartsAnewAfterStop) {
  surge_->stop();
  EXPECT_EQ(surge_->generate("Hello", greedy(4)).num_generated_tokens, 4);
}

TEST_F(Surge, EmptyObjectsAreRefused) {
  const AutoTokenizer tokenizer;
  EXPECT_THROW(tokenizer.encode("a"), Error);
  EXPECT_THROW(AutoModelForCausalLM{}.info(), Error);
  EXPECT_THROW(vSurge::from_model(AutoModelForCausalLM{}, *processor_), Error);
  EXPECT_THROW(vSurge::from_model(*model_, tokenizer), Error);
}

TEST_F(Surge, ServerRefusesWrongOptions) {
  EXPECT_THROW(vSurgeApiServer(*surge_, {.max_workers = -1}), Error);
  EXPECT_THROW(vSurgeApiServer(*surge_, {.max_request_size = 0}), Error);
  EXPECT_THROW(vSurgeApiServer(*surge_, {.served_model_names = {""}}), Error);
  EXPECT_THROW(vSurgeApiServer(*surge_, {.served_model_names = {"\xff"}}), Error);
  EXPECT_THROW(vSurgeApiServer(*surge_, {.drain_timeout_s = -1}), Error);
  vSurgeApiServer server(*surge_);
  EXPECT_THROW(server.fire({.port = 0, .log_level = "loud"}), Error);
  EXPECT_THROW(server.fire({.port = 0, .ssl_keyfile = "key.pem"}), Error);
}

TEST_F(Surge, ServerListensAnswersAndShutsDown) {
  vSurgeApiServer server(*surge_, {.max_workers = 2});
  std::string url;
  server.fire({.host = "127.0.0.1",
               .port = 0,
               .log_level = "warning",
               .on_ready =
                   [&](const std::string& base_url) {
                     url = base_url;
                     server.shutdown();
                   },
               .handle_signals = false});
  EXPECT_EQ(url.rfind("http://127.0.0.1:", 0), 0U);
}

TEST(SurgeLoading, SaysWhatIsMissing) {
  try {
    AutoModelForCausalLM::from_pretrained("no/such/model");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kBadModel);
    EXPECT_NE(std::string(error.what()).find("no/such/model"), std::string::npos);
  }
  EXPECT_THROW(AutoTokenizer::from_pretrained("no/such/model"), Error);
}

}  // namespace
}  // namespace vsurge
