// For every sequence of ids, the pieces add up to the whole, and no piece ends inside a character.
#include "text/detokenizer.h"

#include <gtest/gtest.h>

#include <random>

#include "base/escape.h"
#include "base/test_data.h"
#include "tests/text/test_support.h"

namespace vsurge::text {
namespace {

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const auto size = base::utf8_length(text);
    if (size == 0) return false;
    text.remove_prefix(size);
  }
  return true;
}

std::string streamed(Detokenizer& stream, const std::vector<TokenId>& ids) {
  std::string all;
  for (const auto id : ids) {
    const auto piece = stream.push(id);
    EXPECT_TRUE(piece) << piece.error().message;
    EXPECT_TRUE(is_utf8(*piece));
    all += *piece;
  }
  const auto rest = stream.finish();
  EXPECT_TRUE(rest && is_utf8(*rest));
  return all + *rest;
}

void check(const Tokenizer& tokenizer, const std::vector<TokenId>& ids) {
  for (const bool skip : {false, true}) {
    Detokenizer stream(tokenizer, skip);
    const auto whole = tokenizer.decode(ids, skip);
    ASSERT_TRUE(whole) << whole.error().message;
    ASSERT_EQ(streamed(stream, ids), *whole);
    ASSERT_EQ(streamed(stream, ids), *whole) << "the second time";
  }
}

// Ids of all kinds: any, bytes and pieces of characters often, special ones, none at all.
void check_random(const Tokenizer& tokenizer, TokenId bytes_begin, TokenId bytes_end) {
  std::mt19937 random(20260102);
  const auto pick = [&](TokenId low, TokenId high) {
    return std::uniform_int_distribution<TokenId>(low, high)(random);
  };
  for (int round = 0; round < 1500; ++round) {
    std::vector<TokenId> ids(static_cast<std::size_t>(pick(0, 24)));
    const auto style = pick(0, 2);
    for (auto& id : ids) {
      const bool byte = style == 0 || (style == 1 && pick(0, 1) == 0);
      id = byte ? pick(bytes_begin, bytes_end) : pick(-2, tokenizer.vocabulary() + 2);
    }
    check(tokenizer, ids);
  }
}

TEST(Detokenizer, PiecesAddUpForRandomIds) {
  if (!base::test_data_path("tokenizers")) GTEST_SKIP() << base::test_data_missing("tokenizers");
  check_random(test::shared_tokenizer("gpt2"), 0, 255);
  check_random(test::shared_tokenizer("qwen3"), 0, 255);
  check_random(test::shared_tokenizer("llama-2-spm"), 0, 260);
}

TEST(Detokenizer, RoundTripsOverUnicode) {
  if (!base::test_data_path("corpora")) GTEST_SKIP() << base::test_data_missing("corpora");
  if (!base::test_data_path("tokenizers")) GTEST_SKIP() << base::test_data_missing("tokenizers");
  const auto folder = base::test_data_root() / "corpora/unicode";
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    auto text = test::read_file(entry.path());
    text.resize(std::min<std::size_t>(text.size(), 20'000));
    while (!is_utf8(text)) text.pop_back();
    for (const std::string name : {"gpt2", "llama-2-spm"}) {  // no normalizer that changes text
      const auto& tokenizer = test::shared_tokenizer(name);
      const auto ids = tokenizer.encode(text, false);
      ASSERT_TRUE(ids);
      ASSERT_EQ(*tokenizer.decode(*ids, false), text) << name << ' ' << entry.path();
      Detokenizer stream(tokenizer, false);
      ASSERT_EQ(streamed(stream, *ids), text) << name << ' ' << entry.path();
    }
  }
}

// Small tokenizers with every kind of decoder; no data from elsewhere.
Tokenizer with_decoder(const std::string& decoder) {
  auto made = Tokenizer::from_json(R"({"version":"1.0","truncation":null,"padding":null,
    "added_tokens":[{"id":8,"content":"<s>","single_word":false,"lstrip":false,"rstrip":false,
                     "normalized":false,"special":true}],
    "normalizer":null,"pre_tokenizer":null,"post_processor":null,"decoder":)" +
                                   decoder + R"(,
    "model":{"type":"BPE","dropout":null,"unk_token":null,"continuing_subword_prefix":null,
      "end_of_word_suffix":null,"fuse_unk":false,"byte_fallback":true,"vocab":{"▁":0,"a":1,"▁b":2,
      "<0xE2>":3,"<0x82>":4,"<0xAC>":5,"<0xFF>":6," ":7,"##c":9,"</w>":10},"merges":[]}})");
  EXPECT_TRUE(made) << made.error().message;
  return std::move(*made);
}

TEST(Detokenizer, EveryDecoder) {
  const std::string replace = R"({"type":"Replace","pattern":{"String":"▁"},"content":" "})";
  const std::string strip = R"({"type":"Strip","content":" ","start":2,"stop":0})";
  const std::string bytes = R"({"type":"ByteFallback"},{"type":"Fuse"})";
  const auto sequence = [](const std::string& steps) {
    return R"({"type":"Sequence","decoders":[)" + steps + "]}";
  };
  const std::string decoders[] = {
      "null",
      R"({"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":false})",
      sequence(replace + "," + bytes + "," + strip),
      sequence(replace + "," + bytes),
      sequence(replace + "," + strip + "," + bytes),
      sequence(bytes + "," + replace),
      sequence(R"({"type":"ByteFallback"},)" + strip),
      sequence(R"({"type":"Strip","content":" ","start":0,"stop":1})"),
      R"({"type":"Metaspace","replacement":"▁","prepend_scheme":"always","split":true})",
      R"({"type":"Metaspace","replacement":"▁","prepend_scheme":"never","split":true})",
      R"({"type":"WordPiece","prefix":"##","cleanup":true})",
      R"({"type":"BPEDecoder","suffix":"</w>"})",
      R"({"type":"ByteFallback"})",
      R"({"type":"Fuse"})",
      strip,
  };
  std::mt19937 random(7);
  for (const auto& decoder : decoders) {
    const auto tokenizer = with_decoder(decoder);
    for (int round = 0; round < 400; ++round) {
      std::vector<TokenId> ids(random() % 9);
      for (auto& id : ids) id = static_cast<TokenId>(random() % 12);
      const auto whole = tokenizer.decode(ids, false);
      if (!whole) continue;  // the crate itself fails on an empty token with "stop" > 0
      Detokenizer stream(tokenizer, false);
      ASSERT_EQ(streamed(stream, ids), *whole) << decoder;
    }
  }
}

TEST(Detokenizer, HoldsBackHalfACharacter) {
  const auto tokenizer =
      with_decoder(R"({"type":"Sequence","decoders":[{"type":"ByteFallback"},{"type":"Fuse"}]})");
  Detokenizer stream(tokenizer, false);
  EXPECT_EQ(stream.push(3), "");
  EXPECT_EQ(stream.push(4), "");
  EXPECT_EQ(stream.push(5), "");
  EXPECT_EQ(stream.push(1), "€a");
  EXPECT_EQ(stream.push(3), "");
  EXPECT_EQ(stream.finish(), "\uFFFD");
}

}  // namespace
}  // namespace vsurge::text
