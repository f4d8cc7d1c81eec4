// What a folder says about text, in all the ways it may say it.
#include "text/auto_tokenizer.h"

#include <gtest/gtest.h>

#include <chrono>
#include <fstream>

#include "base/limits.h"
#include "base/log.h"
#include "base/test_data.h"
#include "tests/text/test_support.h"

namespace vsurge::text {
namespace {

namespace fs = std::filesystem;

class AutoTokenizerFolder : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) / ("text_" + std::to_string(getpid()));
    fs::remove_all(folder_);
    fs::create_directories(folder_ / "additional_chat_templates");
    GgufVocabulary vocabulary;
    write("tokenizer.json", R"({"version":"1.0","truncation":null,"padding":null,"added_tokens":
      [{"id":2,"content":"<s>","single_word":false,"lstrip":false,"rstrip":false,
        "normalized":false,"special":true},
       {"id":3,"content":"</s>","single_word":false,"lstrip":false,"rstrip":false,
        "normalized":false,"special":true}],
      "normalizer":null,"pre_tokenizer":null,"post_processor":null,"decoder":null,
      "model":{"type":"BPE","vocab":{"a":0,"b":1},"merges":[]}})");
  }
  void TearDown() override { fs::remove_all(folder_); }

  void write(const std::string& name, std::string_view text) {
    std::ofstream(folder_ / name, std::ios::binary) << text;
  }
  TextAssets load() {
    auto assets = load_text_assets(folder_);
    EXPECT_TRUE(assets) << assets.error().message;
    return std::move(*assets);
  }
  std::string error() {
    const auto assets = load_text_assets(folder_);
    if (assets) return "";
    EXPECT_EQ(assets.error().code, base::ErrorCode::kBadModel) << assets.error().message;
    return assets.error().message;
  }

  fs::path folder_;
};

TEST_F(AutoTokenizerFolder, TokenizerAlone) {
  const auto assets = load();
  EXPECT_FALSE(assets.chat_template);
  EXPECT_FALSE(assets.bos);
  EXPECT_EQ(assets.tokenizer.vocabulary(), 4);
  EXPECT_TRUE(assets.tokenizer.is_special(2));
  EXPECT_FALSE(assets.tokenizer.is_special(0));
  EXPECT_EQ(assets.tokenizer.token_of(1), "b");
  EXPECT_EQ(assets.tokenizer.token_of(99), std::nullopt);
  EXPECT_EQ(assets.tokenizer.id_of("zz"), std::nullopt);
}

TEST_F(AutoTokenizerFolder, SpecialTokensAsTextAndAsObjects) {
  write("special_tokens_map.json", R"({"bos_token": "<s>", "pad_token": {"content": "</s>"}})");
  write("tokenizer_config.json",
        R"({"bos_token": "</s>", "eos_token": {"__type": "AddedToken", "content": "</s>"},
            "unk_token": null, "model_max_length": 4096})");
  const auto assets = load();
  EXPECT_EQ(assets.bos, 2) << "the older file wins";
  EXPECT_EQ(assets.eos, 3);
  EXPECT_EQ(assets.padding, 3);
  EXPECT_EQ(assets.special_tokens.at("bos_token"), "<s>");
  EXPECT_FALSE(assets.special_tokens.contains("unk_token"));
  EXPECT_EQ(assets.model_length_max, 4096);
}

// Every value here is what transformers 5.23 gives for the same folder.
TEST_F(AutoTokenizerFolder, TheOlderFileIsNotReadBesideAddedTokensDecoder) {
  write("special_tokens_map.json", R"({"bos_token": "</s>"})");
  write("tokenizer_config.json", R"({"bos_token": "<s>", "added_tokens_decoder": {
            "2": {"content": "<s>", "special": true}}})");
  EXPECT_EQ(load().bos, 2);
}

TEST_F(AutoTokenizerFolder, TemplatesSeeEveryTokenThatHasAName) {
  write("tokenizer_config.json",
        R"({"bos_token": "<s>", "boi_token": "a", "extra_special_tokens": {"image_token": "</s>"},
            "add_bos_token": true, "pad_token": "<gone>"})");
  auto assets = load();
  const std::map<std::string, std::string, std::less<>> named = {
      {"boi_token", "a"}, {"bos_token", "<s>"}, {"image_token", "</s>"}, {"pad_token", "<gone>"}};
  EXPECT_EQ(assets.special_tokens, named);
  EXPECT_TRUE(assets.tokenizer.is_special(0)) << "boi_token";
  EXPECT_FALSE(assets.tokenizer.is_special(1));
  EXPECT_FALSE(assets.padding);
  write("tokenizer_config.json", R"({"additional_special_tokens": ["b"]})");
  assets = load();
  EXPECT_TRUE(assets.special_tokens.empty()) << "a list of tokens has no name";
  EXPECT_TRUE(assets.tokenizer.is_special(1));
}

TEST_F(AutoTokenizerFolder, AddBosTokenDoesNotCountBesideTokenizerJson) {
  write("tokenizer_config.json",
        R"({"bos_token": "<s>", "eos_token": "</s>", "add_bos_token": true,
            "add_eos_token": true})");
  EXPECT_EQ(load().tokenizer.encode("ab", true), (std::vector<TokenId>{0, 1}));
}

TEST_F(AutoTokenizerFolder, AddedTokensDecoderMustAgree) {
  const auto decoder = [&](const std::string& entries) {
    write("tokenizer_config.json", R"({"added_tokens_decoder": {)" + entries + "}}");
  };
  decoder(R"("9": {"content": "<new>"})");
  EXPECT_NE(error().find("'<new>' of id 9: tokenizer.json has no token"), std::string::npos)
      << error();
  decoder(R"("3": {"content": "<s>"})");
  EXPECT_NE(error().find("'<s>' of id 3: tokenizer.json has id 2"), std::string::npos) << error();
  decoder(R"("x": {"content": "<s>"})");
  EXPECT_NE(error().find("added_tokens_decoder/x"), std::string::npos);
  decoder(R"("2": "<s>")");
  EXPECT_NE(error().find("added_tokens_decoder/2"), std::string::npos);
  fs::remove(folder_ / "tokenizer_config.json");
  write("added_tokens.json", R"({"<s>": 2, "<new>": 7})");
  EXPECT_NE(error().find("'<new>' of id 7"), std::string::npos) << error();
  fs::remove(folder_ / "added_tokens.json");
}

TEST_F(AutoTokenizerFolder, FlagsOfAddedTokensDecoderCount) {
  write("tokenizer_config.json", R"({"added_tokens_decoder": {
      "1": {"content": "b", "lstrip": true}, "2": {"content": "<s>", "special": false}}})");
  const auto assets = load();
  EXPECT_FALSE(assets.tokenizer.is_special(2));
  EXPECT_EQ(assets.tokenizer.encode("a   b<s>", false), (std::vector<TokenId>{0, 1, 2}));
  EXPECT_EQ(assets.tokenizer.bytes_per_token(), 0u);
}

// A device and a sparse file say more than a tokenizer may have.
TEST_F(AutoTokenizerFolder, AHugeTokenizerFileIsRefusedUnread) {
  fs::resize_file(folder_ / "tokenizer.json", base::TokenizerLimits{}.file_bytes_max + 1);
  EXPECT_NE(error().find("tokenizer.json"), std::string::npos);
}

TEST_F(AutoTokenizerFolder, ADecoderThatCannotStreamIsWarnedOf) {
  ASSERT_TRUE(base::init_logging("warning", base::LogFormat::kText));
  const auto output_of = [&](std::string_view decoder) {
    testing::internal::CaptureStderr();
    EXPECT_TRUE(Tokenizer::from_json(
        R"({"version":"1.0","truncation":null,"padding":null,"added_tokens":[],"normalizer":null,)"
        R"("pre_tokenizer":null,"post_processor":null,"decoder":)" +
        std::string(decoder) + R"(,"model":{"type":"BPE","vocab":{"a":0},"merges":[]}})"));
    return testing::internal::GetCapturedStderr();
  };
  EXPECT_NE(output_of(R"({"type":"WordPiece","prefix":"##","cleanup":true})").find("WordPiece"),
            std::string::npos);
  EXPECT_EQ(output_of(R"({"type":"Fuse"})"), "");
  EXPECT_EQ(output_of("null"), "");
}

TEST_F(AutoTokenizerFolder, TemplateAsText) {
  write("tokenizer_config.json", R"({"chat_template": "A{{ 1 + 1 }}", "model_max_length": 1e30})");
  const auto assets = load();
  ASSERT_TRUE(assets.chat_template);
  EXPECT_EQ(assets.chat_template->render("{}", 0), "A2");
  EXPECT_EQ(assets.chat_template->source(), "A{{ 1 + 1 }}");
  EXPECT_EQ(assets.model_length_max, 0);
}

TEST_F(AutoTokenizerFolder, TemplatesAsListAndFiles) {
  write("tokenizer_config.json", R"({"chat_template": [
      {"name": "default", "template": "D"}, {"name": "tool_use", "template": "T"}]})");
  auto assets = load();
  EXPECT_EQ(assets.chat_template->render("{}", 0), "D");
  EXPECT_EQ(assets.named_templates.at("tool_use").render("{}", 0), "T");
  write("chat_template.jinja", "F\n");
  write("additional_chat_templates/rag.jinja", "R");
  assets = load();
  EXPECT_EQ(assets.chat_template->render("{}", 0), "F");
  EXPECT_EQ(assets.named_templates.at("rag").render("{}", 0), "R");
  EXPECT_EQ(assets.named_templates.at("tool_use").render("{}", 0), "T");
}

TEST_F(AutoTokenizerFolder, FaultsAreNamed) {
  write("tokenizer_config.json", "{");
  EXPECT_NE(error().find("tokenizer_config.json"), std::string::npos);
  write("tokenizer_config.json", "[]");
  EXPECT_NE(error().find("expected an object"), std::string::npos);
  write("tokenizer_config.json", R"({"bos_token": 5})");
  EXPECT_NE(error().find("bos_token"), std::string::npos);
  write("tokenizer_config.json", R"({"chat_template": [{"name": "x"}]})");
  EXPECT_NE(error().find("chat_template"), std::string::npos);
  write("tokenizer_config.json", R"({"chat_template": "{% if %}"})");
  EXPECT_NE(error().find("template 'default'"), std::string::npos);
  std::string deep = R"({"a":)";
  deep.append(100'000, '[');
  write("tokenizer_config.json", deep);
  EXPECT_NE(error(), "");
  fs::remove(folder_ / "tokenizer_config.json");
  write("tokenizer.json", "{\"model\": {}}");
  EXPECT_NE(error().find("tokenizer.json"), std::string::npos);
  fs::remove(folder_ / "tokenizer.json");
  EXPECT_NE(error(), "");
}

TEST(AutoTokenizer, Qwen3Folder) {
  if (!base::test_data_path("tokenizers/qwen3")) {
    GTEST_SKIP() << base::test_data_missing("tokenizers/qwen3");
  }
  const auto assets = load_text_assets(base::test_data_root() / "tokenizers/qwen3");
  ASSERT_TRUE(assets) << assets.error().message;
  ASSERT_TRUE(assets->chat_template);
  EXPECT_EQ(assets->eos, 151645);
  const auto text = assets->chat_template->render(
      R"({"messages": [{"role": "user", "content": "hi"}], "add_generation_prompt": true})", 0);
  ASSERT_TRUE(text) << text.error().message;
  EXPECT_EQ(*text, "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n");
  EXPECT_EQ(assets->tokenizer.encode(*text, true).value().front(), 151644);
}

TEST(Tokenizer, LongRunsTakeLinearTime) {
  if (!base::test_data_path("tokenizers")) GTEST_SKIP() << base::test_data_missing("tokenizers");
  for (const std::string name : {"gpt2", "qwen3", "llama-2-spm"}) {
    const auto& tokenizer = test::shared_tokenizer(name);
    for (const std::string part : {"A", " ", "\n", "_", "us", "日", "\t ", "1"}) {
      std::string text;
      while (text.size() < 200'000) text += part;
      const auto ids = tokenizer.encode(text, false);
      ASSERT_TRUE(ids) << ids.error().message;
      ASSERT_EQ(*tokenizer.decode(*ids, false), text) << name << " '" << part << "'";
    }
  }
}

// Twelve replacements of one letter by ten would make a terabyte of it.
TEST(Tokenizer, RefusesStepsThatBlowTextUp) {
  const auto tokenizer_with = [](int steps) {
    std::string chain;
    for (int i = 0; i < steps; ++i) {
      chain += i == 0 ? "" : ",";
      chain += R"({"type":"Replace","pattern":{"String":"a"},"content":"aaaaaaaaaa"})";
    }
    return text::Tokenizer::from_json(
        R"({"version":"1.0","truncation":null,"padding":null,"added_tokens":[],"normalizer":)"
        R"({"type":"Sequence","normalizers":[)" +
        chain +
        R"(]},"pre_tokenizer":null,"post_processor":null,"decoder":null,"model":{"type":"BPE",)"
        R"("vocab":{"a":0},"merges":[]}})");
  };
  EXPECT_TRUE(tokenizer_with(1).has_value());
  const auto bomb = tokenizer_with(12);
  ASSERT_FALSE(bomb.has_value());
  EXPECT_EQ(bomb.error().code, base::ErrorCode::kBadModel);
  EXPECT_NE(bomb.error().message.find("times longer"), std::string::npos) << bomb.error().message;
}

TEST(Tokenizer, ATextOfTooManyTokensIsRefusedAndOneThatFitsIsTheSame) {
  if (!base::test_data_path("tokenizers")) GTEST_SKIP() << base::test_data_missing("tokenizers");
  const std::string texts[] = {
      "", "Hello  world,\n\n 12345 <|endoftext|>é日本😀 x\t",
      std::string(3000, ' ') + "\u1fef\u0344\u0958" + std::string(99, '=')};
  for (const std::string name : {"gpt2", "qwen3", "llama-2-spm"}) {
    const auto& tokenizer = test::shared_tokenizer(name);
    const auto most = tokenizer.bytes_per_token();
    EXPECT_GT(most, 0u) << name;
    for (const auto& text : texts) {
      const auto ids = tokenizer.encode(text, true).value();
      EXPECT_LE(text.size(), ids.size() * most) << name;
      EXPECT_EQ(tokenizer.encode(text, true, ids.size()), ids) << name;
      if (ids.empty()) continue;
      const auto refused = tokenizer.encode(text, true, ids.size() - 1);
      ASSERT_FALSE(refused) << name;
      EXPECT_EQ(refused.error().code, base::ErrorCode::kContextLengthExceeded);
    }
    const std::string huge(16 << 20, 'a');  // seconds to tokenize
    const auto begin = std::chrono::steady_clock::now();
    EXPECT_FALSE(tokenizer.encode(huge, true, 2048)) << name;
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(200)) << name;
  }
}

TEST(Tokenizer, NoBoundWhereStepsDropText) {
  const auto bytes_per_token = [](std::string_view normalizer, std::string_view split,
                                  std::string_view model) {
    const auto made = text::Tokenizer::from_json(
        R"({"version":"1.0","truncation":null,"padding":null,"added_tokens":[],)"
        R"("post_processor":null,"decoder":null,"normalizer":)" +
        std::string(normalizer) + R"(,"pre_tokenizer":)" + std::string(split) +
        R"(,"model":{"type":"BPE","merges":[],)" + std::string(model) + "}}");
    EXPECT_TRUE(made) << made.error().message;
    return made ? made->bytes_per_token() : 0;
  };
  std::string bytes = R"("byte_fallback":true,"vocab":{"abcdefg":256)";
  for (int i = 0; i < 256; ++i) bytes += fmt::format(R"(,"<0x{:02X}>":{})", i, i);
  bytes += "}";
  EXPECT_EQ(bytes_per_token("null", "null", bytes), 7u);
  EXPECT_EQ(bytes_per_token(R"({"type":"NFC"})", "null", bytes), 63u);
  EXPECT_EQ(bytes_per_token(R"({"type":"Replace","pattern":{"String":"abcd"},"content":"xy"})",
                            "null", bytes),
            14u);
  EXPECT_EQ(bytes_per_token(R"({"type":"Replace","pattern":{"String":"abcd"},"content":""})",
                            "null", bytes),
            0u);
  EXPECT_EQ(bytes_per_token(R"({"type":"Lowercase"})", "null", bytes), 0u);
  EXPECT_EQ(bytes_per_token("null", R"({"type":"Whitespace"})", bytes), 0u);
  EXPECT_EQ(bytes_per_token("null",
                            R"({"type":"Split","pattern":{"String":" "},"behavior":"Removed",)"
                            R"("invert":false})",
                            bytes),
            0u);
  EXPECT_EQ(bytes_per_token("null", "null", R"("vocab":{"a":0})"), 0u) << "other letters vanish";
}

TEST(Tokenizer, RefusesWhatIsNotText) {
  if (!base::test_data_path("tokenizers")) GTEST_SKIP() << base::test_data_missing("tokenizers");
  const auto& tokenizer = test::shared_tokenizer("gpt2");
  EXPECT_EQ(tokenizer.encode("a\xff", false).error().code, base::ErrorCode::kInvalidRequest);
  EXPECT_EQ(tokenizer.decode(tokenizer.encode(std::string("a\0b", 3), false).value(), false),
            std::string("a\0b", 3));
}

}  // namespace
}  // namespace vsurge::text
