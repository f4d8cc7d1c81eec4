#include "api/stop_scanner.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace vsurge::api {
namespace {

using Strings = std::vector<std::string>;

// By definition: the first end of any stop string; of two that end there, the longer one.
std::string cut_at_stop(const std::string& text, const Strings& stops, bool& found) {
  for (std::size_t end = 1; end <= text.size(); ++end) {
    std::size_t longest = 0;
    for (const std::string& stop : stops) {
      if (std::string_view(text).substr(0, end).ends_with(stop)) {
        longest = std::max(longest, stop.size());
      }
    }
    if (longest > 0) {
      found = true;
      return text.substr(0, end - longest);
    }
  }
  found = false;
  return text;
}

TEST(StopScanner, NoStops) {
  StopScanner scanner({});
  std::string out;
  scanner.push("abc", out);
  EXPECT_EQ(out, "abc");
  scanner.flush(out);
  EXPECT_EQ(out, "abc");
  EXPECT_FALSE(scanner.found());
}

TEST(StopScanner, HoldsBackOnlyAPrefix) {
  StopScanner scanner({"<end>"});
  std::string out;
  scanner.push("a<e", out);
  EXPECT_EQ(out, "a");
  scanner.push("x<en", out);
  EXPECT_EQ(out, "a<ex");
  scanner.push("d", out);
  EXPECT_EQ(out, "a<ex");
  scanner.push(">rest", out);
  EXPECT_TRUE(scanner.found());
  EXPECT_EQ(out, "a<ex");
  scanner.push("more", out);
  scanner.flush(out);
  EXPECT_EQ(out, "a<ex");
}

TEST(StopScanner, WhatWasHeldBackComesAtTheEnd) {
  StopScanner scanner({"abcabd"});
  std::string out;
  scanner.push("xabcab", out);
  EXPECT_EQ(out, "x");
  scanner.flush(out);
  EXPECT_EQ(out, "xabcab");
  EXPECT_FALSE(scanner.found());
}

TEST(StopScanner, Overlaps) {
  bool found = false;
  for (const auto& [text, stops, expected] :
       std::vector<std::tuple<std::string, Strings, std::string>>{
           {"aaab", {"aab"}, "a"},
           {"xabcd", {"abc", "b"}, "xa"},
           {"xabc", {"bc", "abc"}, "x"},
           {"abcabcabd", {"abcabd"}, "abc"},
           {"😀é", {"é"}, "😀"},
       }) {
    StopScanner scanner(stops);
    std::string out;
    for (const char c : text) scanner.push(std::string_view(&c, 1), out);
    scanner.flush(out);
    EXPECT_EQ(out, expected);
    EXPECT_EQ(out, cut_at_stop(text, stops, found));
  }
}

// Small alphabets make overlaps likely; whatever the cuts, text and end are the definition's.
TEST(StopScanner, EqualsTheDefinitionHoweverTheTextIsCut) {
  std::mt19937 random(7);
  const Strings alphabet = {"a", "b", "ü", "€", "😀"};
  const auto word = [&](std::size_t length) {
    std::string out;
    for (std::size_t i = 0; i < length; ++i) out += alphabet[random() % alphabet.size()];
    return out;
  };
  int hits = 0;
  for (int round = 0; round < 20'000; ++round) {
    Strings stops(random() % 5);
    for (std::string& stop : stops) stop = word(1 + random() % 5);
    const std::string text = word(random() % 30);
    bool found = false;
    const std::string expected = cut_at_stop(text, stops, found);
    StopScanner scanner(stops);
    std::string out;
    for (std::size_t at = 0; at < text.size();) {
      std::size_t size = 1 + random() % 4;
      // Pieces are whole characters, as the detokenizer gives them.
      while (at + size < text.size() &&
             (static_cast<unsigned char>(text[at + size]) & 0xC0U) == 0x80)
        ++size;
      const std::size_t before = out.size();
      scanner.push(text.substr(at, size), out);
      EXPECT_LE(out.size() - before, 40u);
      // Nothing comes out that the definition would take back, and it is whole characters.
      ASSERT_TRUE(expected.starts_with(out)) << text;
      ASSERT_TRUE(out.size() == expected.size() ||
                  (static_cast<unsigned char>(expected[out.size()]) & 0xC0U) != 0x80);
      at += size;
    }
    scanner.flush(out);
    ASSERT_EQ(out, expected);
    ASSERT_EQ(scanner.found(), found);
    hits += found ? 1 : 0;
  }
  EXPECT_GT(hits, 5'000);
}

}  // namespace
}  // namespace vsurge::api
