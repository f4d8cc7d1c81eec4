// The public API on the default model, from file to text.

#include "vsurge/surge.h"

#include <gtest/gtest.h>

#include <memory>

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
