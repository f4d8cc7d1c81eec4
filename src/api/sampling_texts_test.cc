#include "api/sampling_texts.h"

#include <gtest/gtest.h>

#include "api/service_fixture.h"
#include "api/token_texts.h"
#include "base/test_data.h"
#include "text/auto_tokenizer.h"

namespace vsurge::api {
namespace {

using Tokens = std::vector<engine::TokenId>;

TEST(SamplingTexts, BadWordsAloneAndAfterASpace) {
  const text::TextAssets assets = testing::byte_assets();
  engine::SamplingParams sampling;
  ASSERT_TRUE(resolve_texts(assets.tokenizer, {.bad_words = {"ab", " c"}}, sampling));
  // With a space a byte-level word is longer: it holds the word itself.
  EXPECT_EQ(sampling.bad_words, (std::vector<Tokens>{{'a', 'b'}, {'c'}}));
  const auto blank = resolve_texts(assets.tokenizer, {.bad_words = {"  "}}, sampling);
  ASSERT_FALSE(blank);
  EXPECT_EQ(blank.error().param, "bad_words");
}

TEST(SamplingTexts, Breakers) {
  const text::TextAssets assets = testing::byte_assets();
  engine::SamplingParams sampling;
  ASSERT_TRUE(resolve_texts(assets.tokenizer, {}, sampling));
  EXPECT_TRUE(sampling.dry.sequence_breakers.empty());  // DRY is off
  sampling.dry.multiplier = 1;
  ASSERT_TRUE(resolve_texts(assets.tokenizer, {}, sampling));
  EXPECT_EQ(sampling.dry.sequence_breakers, (Tokens{'\n', ':', '"', '*'}));
  sampling.dry.sequence_breakers.clear();
  SamplingTexts texts;
  texts.dry_breakers = {"xy", "z"};
  ASSERT_TRUE(resolve_texts(assets.tokenizer, texts, sampling));
  EXPECT_EQ(sampling.dry.sequence_breakers, (Tokens{'y', 'z'}));
}

TEST(SamplingTexts, ThinkingIsOpenWhereThePromptOpenedItLast) {
  const text::TextAssets assets = testing::byte_assets();
  const auto open = [&](const Tokens& prompt) {
    const auto budget = thinking_budget(assets.tokenizer, 7, prompt);
    EXPECT_TRUE(budget);
    EXPECT_EQ(budget->tokens, 7);
    EXPECT_EQ(budget->begin_token, testing::kThink);
    EXPECT_EQ(budget->end_token, testing::kThinkEnd);
    return budget->open;
  };
  EXPECT_FALSE(open({'a'}));
  EXPECT_TRUE(open({'a', testing::kThink}));
  EXPECT_FALSE(open({testing::kThink, 'a', testing::kThinkEnd}));
  EXPECT_TRUE(open({testing::kThink, testing::kThinkEnd, testing::kThink, 'a'}));
}

TEST(TokenTexts, BytesThatAreNoText) {
  const text::TextAssets assets = testing::byte_assets();
  TokenTexts texts(assets.tokenizer);
  EXPECT_EQ(texts.of('a').text, "a");
  EXPECT_EQ(texts.of('a').bytes, "a");
  EXPECT_EQ(texts.of(' ').text, " ");
  EXPECT_EQ(texts.of(0xE2).text, "bytes:\\xe2");
  EXPECT_EQ(texts.of(0xE2).bytes, "\xE2");
  EXPECT_EQ(texts.of(testing::kEos).text, "</s>");
  EXPECT_EQ(texts.of(5000).text, "");
  EXPECT_EQ(&texts.of('a'), &texts.of('a'));
}

// The bytes of all tokens of a text are the text, whatever the kind of tokenizer.
TEST(TokenTexts, AddUpToTheText) {
  const std::string text = "Grüße, 世界! \n\n  0xFF 👩‍👩‍👧 naïve\ttabs ﷽ end";
  int tokenizers = 0;
  for (const char* name : {"gpt-oss", "gpt2", "llama-2-spm", "qwen3"}) {
    const auto path = base::test_data_path(std::string("tokenizers/") + name);
    if (!path) continue;
    const auto assets = text::load_text_assets(*path);
    if (!assets) continue;
    ++tokenizers;
    TokenTexts texts(assets->tokenizer);
    const auto ids = assets->tokenizer.encode("x" + text, false);
    ASSERT_TRUE(ids);
    std::string bytes;
    for (const text::TokenId id : *ids) bytes += texts.of(id).bytes;
    const std::size_t at = bytes.find('x');  // some put a space before it
    ASSERT_LE(at, 1u) << name;
    EXPECT_EQ(bytes.substr(at), "x" + text) << name;
  }
  if (tokenizers == 0) GTEST_SKIP() << "no tokenizers in the test data";
}

}  // namespace
}  // namespace vsurge::api
