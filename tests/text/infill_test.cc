// Prompts with a gap, by the tokens that different models have for it.
#include "text/infill.h"

#include <gtest/gtest.h>

#include "base/test_data.h"
#include "tests/text/test_support.h"
#include "text/auto_tokenizer.h"

namespace vsurge::text {
namespace {

using Ids = std::vector<TokenId>;

Tokenizer with_tokens(std::vector<std::string> special) {
  GgufVocabulary made;
  made.kind = "gpt2";
  made.pre = "gpt-2";
  made.tokens = {"a", "b"};
  made.types = {1, 1};
  for (std::string& token : special) {
    made.tokens.push_back(std::move(token));
    made.types.push_back(3);
  }
  auto tokenizer = Tokenizer::from_gguf(made);
  EXPECT_TRUE(tokenizer) << tokenizer.error().message;
  return std::move(*tokenizer);
}

// The prompt for a before the gap and b behind it; empty: the tokenizer cannot.
Ids prompt_of(const Tokenizer& tokenizer) {
  const auto tokens = find_infill_tokens(tokenizer);
  Ids prompt;
  if (tokens) append_infill(prompt, *tokens, {.before = Ids{0}, .behind = Ids{1}});
  return prompt;
}

TEST(Infill, PrefixSuffixMiddle) {
  const std::vector<std::vector<std::string>> models = {
      {"<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"},
      {"<fim_prefix>", "<fim_suffix>", "<fim_middle>"},
      {"<fim-prefix>", "<fim-suffix>", "<fim-middle>"},
      {"▁<PRE>", "▁<SUF>", "▁<MID>"},
      {"<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"},
      {"<|code_prefix|>", "<|code_suffix|>", "<|code_middle|>"},
  };
  for (const auto& names : models) {
    EXPECT_EQ(prompt_of(with_tokens(names)), (Ids{2, 0, 3, 1, 4})) << names[0];
    EXPECT_EQ(prompt_of(with_tokens({names[0], names[1]})), Ids{}) << "no middle: " << names[0];
    EXPECT_EQ(prompt_of(with_tokens({names[1], names[2]})), Ids{}) << "no prefix: " << names[0];
  }
}

TEST(Infill, TheSuffixFirstWhereNoTokenEndsThePrompt) {
  EXPECT_EQ(prompt_of(with_tokens({"[PREFIX]", "[SUFFIX]"})), (Ids{3, 1, 2, 0}));
  EXPECT_EQ(prompt_of(with_tokens({"[PREFIX]"})), Ids{});
  EXPECT_EQ(prompt_of(with_tokens({})), Ids{});
}

TEST(Infill, EndsOfAGap) {
  const auto tokens =
      find_infill_tokens(with_tokens({"▁<PRE>", "▁<SUF>", "▁<MID>", "▁<EOT>", "<|other|>"}));
  ASSERT_TRUE(tokens);
  EXPECT_EQ(tokens->ends, (Ids{5}));
}

TEST(Infill, Qwen) {
  if (!base::test_data_path("tokenizers/qwen3")) {
    GTEST_SKIP() << base::test_data_missing("tokenizers/qwen3");
  }
  const Tokenizer& tokenizer = test::shared_tokenizer("qwen3");
  EXPECT_EQ(prompt_of(tokenizer), (Ids{151659, 0, 151661, 1, 151660}));
  const auto tokens = find_infill_tokens(tokenizer);
  ASSERT_TRUE(tokens);
  EXPECT_EQ(tokens->ends, (Ids{151643, 151662, 151663, 151664}));
  EXPECT_EQ(encode_continuation(tokenizer, "def f").value(),
            tokenizer.encode("def f", false).value());
}

// SentencePiece puts a space before a text, which is not there in the middle of one.
TEST(Infill, AContinuationHasNoSpaceBeforeIt) {
  if (!base::test_data_path("tokenizers/llama-2-spm")) {
    GTEST_SKIP() << base::test_data_missing("tokenizers/llama-2-spm");
  }
  const Tokenizer& tokenizer = test::shared_tokenizer("llama-2-spm");
  for (const std::string text : {"def f():", " x", "\n\n  y", "日本", "☺", ""}) {
    const Ids ids = encode_continuation(tokenizer, text).value();
    std::string joined = "☺";
    Ids all = tokenizer.encode("☺", false).value();
    all.insert(all.end(), ids.begin(), ids.end());
    EXPECT_EQ(tokenizer.decode(all, true).value(), joined + text);
  }
  const auto def = tokenizer.id_of("def");
  ASSERT_TRUE(def);
  EXPECT_EQ(encode_continuation(tokenizer, "def").value(), (Ids{*def}));
  EXPECT_NE(tokenizer.encode("def", false).value(), (Ids{*def}));
  EXPECT_EQ(encode_continuation(tokenizer, "def def def", 2).error().code,
            base::ErrorCode::kContextLengthExceeded);
  EXPECT_EQ(encode_continuation(tokenizer, "def def", 2).value().size(), 2U);
}

// A GGUF file says which they are by their ids, whatever their names.
TEST(Infill, ByTheIdsOfAFile) {
  GgufVocabulary made;
  made.kind = "gpt2";
  made.pre = "gpt-2";
  made.tokens = {"a", "b", "<one>", "<two>", "<three>", "<four>"};
  made.types = {1, 1, 3, 3, 3, 3};
  EXPECT_FALSE(make_text_assets(made)->infill.has_value());
  made.fim_prefix = 3;
  EXPECT_FALSE(make_text_assets(made)->infill.has_value());
  made.fim_suffix = 2;
  made.fim_middle = 4;
  made.fim_ends = {5, 99};
  const auto assets = make_text_assets(made);
  ASSERT_TRUE(assets && assets->infill);
  EXPECT_EQ(assets->infill->ends, Ids{5});
  Ids prompt;
  append_infill(prompt, *assets->infill, {.before = Ids{0}, .behind = Ids{1}});
  EXPECT_EQ(prompt, (Ids{3, 0, 2, 1, 4}));
  made.fim_prefix = 99;  // no token: then by name
  EXPECT_FALSE(make_text_assets(made)->infill.has_value());
}

}  // namespace
}  // namespace vsurge::text
