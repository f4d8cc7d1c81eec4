#include "api/text_stream.h"

#include <gtest/gtest.h>

#include <random>

#include "api/service_fixture.h"

namespace vsurge::api {
namespace {

using Offsets = std::vector<std::size_t>;

const text::TextAssets& assets() {
  static const text::TextAssets kAssets = testing::byte_assets();
  return kAssets;
}

struct Result {
  std::string text;
  Offsets offsets;  // of the tokens that belong to it
  bool stopped = false;
};

Result run(const TextOptions& options, const std::vector<engine::TokenId>& tokens) {
  TextStream stream(assets().tokenizer, options);
  Result result;
  for (const engine::TokenId token : tokens) {
    EXPECT_TRUE(stream.push(token, result.text));
    stream.take_shown(result.offsets);
    // A token is told no earlier than its text.
    if (!result.offsets.empty()) {
      EXPECT_LT(result.offsets.back(), count_characters(result.text));
    }
    if (stream.stopped()) break;
  }
  EXPECT_TRUE(stream.finish(result.text));
  stream.take_shown(result.offsets);
  result.stopped = stream.stopped();
  return result;
}

TEST(TextStream, OffsetsAreCharacters) {
  const Result result = run({}, testing::bytes_of("aé😀b"));
  EXPECT_EQ(result.text, "aé😀b");
  // Parts of a character begin where it does.
  EXPECT_EQ(result.offsets, (Offsets{0, 1, 1, 2, 2, 2, 2, 3}));
}

TEST(TextStream, TokensOfAStopStringDoNotBelong) {
  const auto tokens = testing::bytes_of("ab<end>c");
  const Result without = run({.stops = {"<end>"}}, tokens);
  EXPECT_EQ(without.text, "ab");
  EXPECT_EQ(without.offsets, (Offsets{0, 1}));
  const Result with = run({.stops = {"<end>"}, .include_stop = true}, tokens);
  EXPECT_EQ(with.text, "ab<end>");
  EXPECT_EQ(with.offsets, (Offsets{0, 1, 2, 3, 4, 5, 6}));
}

TEST(TextStream, ATokenCutInTheMiddleBelongs) {
  // "<|user|>" is one token here; the stop string is its end, then its beginning.
  const TextOptions shown{.stops = {"user|>"}, .skip_special = false};
  const Result cut = run(shown, {'a', testing::kUser, 'b'});
  EXPECT_EQ(cut.text, "a<|");
  EXPECT_EQ(cut.offsets, (Offsets{0, 1}));
  const Result gone = run({.stops = {"a<|"}, .skip_special = false}, {'x', 'a', testing::kUser});
  EXPECT_EQ(gone.text, "x");
  EXPECT_EQ(gone.offsets, (Offsets{0}));
}

TEST(TextStream, TokensWithoutTextGoWithWhatFollows) {
  const Result end = run({}, {'a', testing::kUser, 'b', testing::kUser});
  EXPECT_EQ(end.text, "ab");
  EXPECT_EQ(end.offsets, (Offsets{0, 1, 1, 2}));
  const Result stop = run({.stops = {"c"}}, {'a', testing::kUser, 'b', testing::kUser, 'c'});
  EXPECT_EQ(stop.offsets, (Offsets{0, 1, 1}));
}

TEST(TextStream, BytesThatStayBrokenAreOfTheirTokens) {
  const Result result = run({}, testing::bytes_of("a\xF0\x9F"
                                                  "b\x80"
                                                  "c\xF0"));
  EXPECT_EQ(result.text, "a\uFFFDb\uFFFDc\uFFFD");
  EXPECT_EQ(result.offsets, (Offsets{0, 1, 1, 2, 3, 4, 5}));
  const Result stop = run({.stops = {"b"}}, testing::bytes_of("a\xF0\x9F"
                                                              "b"));
  EXPECT_EQ(stop.text, "a\uFFFD");
  EXPECT_EQ(stop.offsets, (Offsets{0, 1, 1}));
}

TEST(TextStream, StopStringsCountAfterMinTokens) {
  const auto tokens = testing::bytes_of("xaxaxa");
  EXPECT_EQ(run({.stops = {"xa"}}, tokens).text, "");
  EXPECT_EQ(run({.stops = {"xa"}, .min_tokens = 1}, tokens).text, "");
  EXPECT_EQ(run({.stops = {"xa"}, .min_tokens = 2}, tokens).text, "xa");
  EXPECT_EQ(run({.stops = {"xa"}, .min_tokens = 5}, tokens).text, "xaxa");
  const Result none = run({.stops = {"xa"}, .min_tokens = 6}, tokens);
  EXPECT_EQ(none.text, "xaxaxa");
  EXPECT_FALSE(none.stopped);
  // A beginning within them counts.
  EXPECT_EQ(run({.stops = {"axa"}, .min_tokens = 3}, tokens).text, "x");
}

// However it ends, the tokens that belong are exactly those that begin before the end of the text.
TEST(TextStream, TheTokensAreThoseOfTheText) {
  std::mt19937 random(11);
  const std::vector<std::string> pieces = {"a", "b", "ü", "€", "😀"};
  int stops = 0;
  for (int round = 0; round < 3000; ++round) {
    std::string text;
    for (std::size_t n = random() % 20; n > 0; --n) text += pieces[random() % pieces.size()];
    TextOptions options{.stops = {},
                        .include_stop = random() % 2 == 0,
                        .min_tokens = static_cast<int>(random() % 6)};
    for (std::size_t n = random() % 3; n > 0; --n) {
      options.stops.push_back(pieces[random() % 5] + pieces[random() % 5]);
    }
    const Result result = run(options, testing::bytes_of(text));
    ASSERT_TRUE(text.starts_with(result.text));
    Offsets expected;
    for (std::size_t i = 0, characters = 0; i < result.text.size(); ++i) {
      const bool lead = (static_cast<unsigned char>(result.text[i]) & 0xC0U) != 0x80;
      if (lead) ++characters;
      expected.push_back(characters - 1);
    }
    ASSERT_EQ(result.offsets, expected) << text;
    stops += result.stopped ? 1 : 0;
  }
  EXPECT_GT(stops, 300);
}

}  // namespace
}  // namespace vsurge::api
