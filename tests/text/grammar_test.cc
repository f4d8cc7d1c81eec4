// The grammar side of the bridge, by its C header: masks that a JSON schema allows.
#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <memory>

#include "text/bridge.h"
#include "text/tokenizer.h"

namespace vsurge::text {
namespace {

// One token for each byte, and an end.
Tokenizer byte_tokenizer() {
  std::string vocabulary;
  for (int byte = 0x21; byte < 0x7f; ++byte) {
    const std::string token =
        byte == '"' || byte == '\\' ? std::string("\\") + char(byte) : std::string(1, char(byte));
    vocabulary += fmt::format("\"{}\":{},", token, byte - 0x21);
  }
  auto made = Tokenizer::from_json(
      R"({"added_tokens":[{"id":95,"content":"</s>","single_word":false,"lstrip":false,
          "rstrip":false,"normalized":false,"special":true}],"normalizer":null,
          "pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,
          "use_regex":false},"post_processor":null,"decoder":{"type":"ByteLevel",
          "add_prefix_space":false,"trim_offsets":true,"use_regex":false},
          "model":{"type":"BPE","vocab":{)" +
      vocabulary + R"("Ġ":94},"merges":[]}})");
  EXPECT_TRUE(made) << made.error().message;
  return std::move(*made);
}

constexpr std::uint32_t kEnd = 95;
constexpr std::uint32_t kLogits = 128;

struct Factory {
  explicit Factory(const Tokenizer& tokenizer) {
    BridgeBytes error;
    EXPECT_EQ(tb_grammar_factory_new(tokenizer.handle(), kLogits, &kEnd, 1, &handle, error.out()),
              TB_OK)
        << error.view();
  }
  ~Factory() { tb_grammar_factory_free(handle); }
  tb_grammar_factory* handle = nullptr;
};

// What the grammar lets through when always the first allowed token is taken.
std::string walk(tb_matcher* matcher, std::size_t most) {
  std::string text;
  for (std::size_t step = 0; step < most && !tb_matcher_is_stopped(matcher); ++step) {
    std::array<std::uint32_t, kLogits / 32> mask{};
    BridgeBytes error;
    EXPECT_EQ(tb_matcher_mask(matcher, mask.data(), mask.size(), error.out()), TB_OK)
        << error.view();
    std::uint32_t token = 0;
    while (token < kLogits && (mask[token / 32] >> (token % 32) & 1) == 0) ++token;
    EXPECT_LE(token, kEnd) << "an id beyond the vocabulary is allowed";
    EXPECT_EQ(tb_matcher_commit(matcher, token, error.out()), TB_OK) << error.view();
    if (token == kEnd) break;
    text += token == 94 ? ' ' : static_cast<char>(token + 0x21);
  }
  return text;
}

TEST(Grammar, FollowsAChoice) {
  const auto tokenizer = byte_tokenizer();
  const Factory factory(tokenizer);
  const std::string_view source = R"(["yes","yesterday"])";
  tb_matcher* matcher = nullptr;
  BridgeBytes error;
  ASSERT_EQ(tb_matcher_new(factory.handle, TB_CHOICE, bridge_data(source), source.size(), &matcher,
                           error.out()),
            TB_OK)
      << error.view();
  tb_matcher* copy = nullptr;
  ASSERT_EQ(tb_matcher_clone(matcher, &copy, error.out()), TB_OK);
  EXPECT_EQ(walk(matcher, 50), "yesterday");
  EXPECT_TRUE(tb_matcher_is_stopped(matcher));
  EXPECT_EQ(walk(copy, 2), "ye");
  EXPECT_FALSE(tb_matcher_is_stopped(copy));
  EXPECT_EQ(tb_matcher_commit(copy, 'x' - 0x21, error.out()), TB_ERROR) << "not allowed here";
  tb_matcher_free(matcher);
  tb_matcher_free(copy);
}

TEST(Grammar, FollowsASchema) {
  const auto tokenizer = byte_tokenizer();
  const Factory factory(tokenizer);
  const std::string_view source =
      R"({"type":"object","properties":{"a":{"const":12}},"required":["a"],
          "additionalProperties":false})";
  tb_matcher* matcher = nullptr;
  BridgeBytes error;
  ASSERT_EQ(tb_matcher_new(factory.handle, TB_JSON_SCHEMA, bridge_data(source), source.size(),
                           &matcher, error.out()),
            TB_OK)
      << error.view();
  EXPECT_EQ(walk(matcher, 100), R"({"a":12})");
  tb_matcher_free(matcher);
}

TEST(Grammar, RefusesWithAReason) {
  const auto tokenizer = byte_tokenizer();
  const Factory factory(tokenizer);
  const auto refused = [&](int kind, std::string_view source) {
    tb_matcher* matcher = nullptr;
    BridgeBytes error;
    const int status = tb_matcher_new(factory.handle, kind, bridge_data(source), source.size(),
                                      &matcher, error.out());
    EXPECT_EQ(matcher, nullptr);
    return status == TB_ERROR && !error.view().empty();
  };
  EXPECT_TRUE(refused(TB_REGEX, "("));
  EXPECT_TRUE(refused(TB_LARK, "start: nowhere"));
  EXPECT_TRUE(refused(TB_JSON_SCHEMA, "{"));
  EXPECT_TRUE(refused(TB_JSON_SCHEMA, R"({"type":"strange"})"));
  EXPECT_TRUE(refused(TB_CHOICE, "[]"));
  EXPECT_TRUE(refused(99, ""));
  tb_grammar_factory* none = nullptr;
  BridgeBytes error;
  EXPECT_EQ(tb_grammar_factory_new(tokenizer.handle(), 5, &kEnd, 1, &none, error.out()), TB_ERROR);
}

TEST(Bridge, APanicStaysInside) {
  BridgeBytes error;
  EXPECT_EQ(tb_test_panic(error.out()), TB_PANIC);
  EXPECT_EQ(error.view(), "on purpose");
  EXPECT_EQ(tb_test_panic(nullptr), TB_PANIC);
  tb_tokenizer_free(nullptr);
  tb_stream_free(nullptr);
  tb_template_free(nullptr);
  tb_matcher_free(nullptr);
  tb_grammar_factory_free(nullptr);
  tb_bytes_free(nullptr);
  tb_ids_free(nullptr);
}

}  // namespace
}  // namespace vsurge::text
