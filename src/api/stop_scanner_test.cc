#include "api/stop_scanner.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string_view>

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

text::StopRegex regex(const Strings& patterns) {
  auto made = text::StopRegex::compile(patterns);
  EXPECT_TRUE(made.has_value()) << made.error().message;
  return *made;
}

struct Cut {
  std::string text;
  std::string stop;
  friend bool operator==(const Cut&, const Cut&) = default;
};

// Pushed in pieces of this many bytes; at any moment what came out must begin the whole.
Cut cut_by(const Strings& strings, const Strings& patterns, std::string_view text,
           std::size_t piece, bool include = false) {
  StopScanner scanner(strings, include, regex(patterns));
  std::string out;
  for (std::size_t at = 0; at < text.size(); at += piece) {
    scanner.push(text.substr(at, piece), out);
  }
  scanner.flush(out);
  return {out, scanner.stop_string()};
}

TEST(StopScanner, Regexes) {
  struct Case {
    Strings strings, patterns;
    const char* text;
    Cut expected;
  } cases[] = {
      {{}, {"[0-9]+"}, "ab12", {"ab", "[0-9]+"}},  // ends as soon as it can
      {{}, {"a+b"}, "xaaab", {"x", "a+b"}},        // of those that end together the longest
      {{}, {"a+b"}, "xaaac", {"xaaac", ""}},
      {{}, {"\\n\\s*Q:"}, "A\n \n Q: x", {"A", "\\n\\s*Q:"}},
      {{}, {"(?m)^end"}, "bend\nend", {"bend\n", "(?m)^end"}},
      {{}, {"^a"}, "ba", {"ba", ""}},
      {{}, {"x", "[a-c]{3}"}, "bbxabc", {"bb", "x"}},
      {{"bc"}, {"abc"}, "zabc", {"z", "abc"}},
      {{"abc"}, {"bc"}, "zabc", {"z", "abc"}},
      {{"ab"}, {"abc"}, "zabc", {"z", "ab"}},
      {{"abcd"}, {"bc"}, "zabcd", {"za", "bc"}},
      {{}, {"é.ü"}, "aéxü", {"a", "é.ü"}},
      {{}, {"."}, "é", {"", "."}},
  };
  for (const Case& each : cases) {
    for (std::size_t piece = 1; piece <= 6; ++piece) {
      EXPECT_EQ(cut_by(each.strings, each.patterns, each.text, piece), each.expected)
          << each.text << " in pieces of " << piece;
    }
  }
  EXPECT_EQ(cut_by({}, {"[0-9]"}, "ab1c", 2, true).text, "ab1");
}

TEST(StopScanner, ARegexHoldsBackOnlyWhatMayMatch) {
  StopScanner scanner({}, false, regex({"<[a-z]+>"}));
  std::string out;
  scanner.push("a<b", out);
  EXPECT_EQ(out, "a");
  scanner.push("c<d 1", out);
  EXPECT_EQ(out, "a<bc<d 1");
  scanner.push("<e>", out, false);  // does not count
  scanner.push("<e", out);
  EXPECT_EQ(out, "a<bc<d 1<e>");
  scanner.flush(out);
  EXPECT_EQ(out, "a<bc<d 1<e><e");
  scanner.push(">", out);  // the match would have begun before the cut
  EXPECT_EQ(out, "a<bc<d 1<e><e>");
  scanner.push("<e>", out);
  EXPECT_TRUE(scanner.found());
  EXPECT_EQ(out, "a<bc<d 1<e><e>");
}

TEST(StopScanner, RegexesThatCannotBeKept) {
  for (const char* pattern : {"a$", "\\bx", "x\\b", "", "a*", "(", "(?=a)", "(a)\\1",
                              "[a-z]{1000}[^x]{900}", "(?-u:\\xff)"}) {
    const auto made = text::StopRegex::compile(Strings{pattern});
    ASSERT_FALSE(made.has_value()) << pattern;
    EXPECT_EQ(made.error().code, base::ErrorCode::kInvalidRequest) << pattern;
    EXPECT_FALSE(made.error().message.empty());
  }
}

// Many runs at once end in few states.
TEST(StopScanner, ALongTextOfBeginnings) {
  StopScanner scanner({}, false, regex({"a{1,300}b"}));
  std::string out;
  const std::string text(20'000, 'a');
  scanner.push(text, out);
  EXPECT_EQ(out.size(), text.size() - 300);
  scanner.flush(out);
  EXPECT_EQ(out, text);
}

}  // namespace
}  // namespace vsurge::api
